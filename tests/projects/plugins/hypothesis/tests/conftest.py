from hypothesis import settings

settings.register_profile("steady", derandomize=False, max_examples=60)
settings.load_profile("steady")
