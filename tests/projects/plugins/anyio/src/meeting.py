"""People who wait for each other."""

import anyio


async def meet(count):
    came = []
    everyone = anyio.Event()

    async def person(name):
        came.append(name)
        if len(came) == count:
            everyone.set()
        await everyone.wait()

    async with anyio.create_task_group() as group:
        for name in range(count):
            group.start_soon(person, name)
    return sorted(came)


async def patiently(seconds):
    with anyio.move_on_after(seconds) as scope:
        await anyio.sleep_forever()
    return scope.cancelled_caught
