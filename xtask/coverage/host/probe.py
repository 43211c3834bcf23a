"""Says, as one line of JSON, what the project's interpreter knows about itself.

Run as `python -c PROBE [COVERAGE_CONFIG [TYPED]]` in the project's folder; TYPED is JSON, the
`paths` that pytest is to be given, and the `words` of options. pytest's and coverage's
own code reads the configuration, so the answer is what they will see. Nothing of the
project, no conftest and no plugin is imported, but for plugins of coverage, which may
configure it. On a Python that is too old it must still run, to say so.
"""

import sys

# `-c` puts the current folder first; a module there must not stand in for a library's.
sys.path[:] = [entry for entry in sys.path if entry]

import json
import os

MARK = "\x01xtask-facts "


class Broken(Exception):
    """A configuration file that cannot be read."""


def main(rcfile=None, typed="{}"):
    try:
        if sys.version_info < (3, 9):
            found = "%d.%d.%d" % sys.version_info[:3]
            raise Broken("`%s` is Python %s; 3.9 or newer is needed" % (sys.executable, found))
        answer = {"facts": facts(rcfile, json.loads(typed))}
    except Broken as broken:
        answer = {"error": str(broken)}
    sys.stdout.write("\n" + MARK + json.dumps(answer) + "\n")
    sys.stdout.flush()


def facts(rcfile, typed):
    known = folders()
    coverage, plugins = coverage_config(rcfile)
    return {
        "executable": sys.executable,
        "python": "%d.%d.%d" % sys.version_info[:3],
        "implementation": sys.implementation.name,
        "packages": packages(),
        "pytest": pytest_config(typed.get("paths", []), typed.get("words", [])),
        "coverage": coverage,
        # With a plugin from somewhere else an answer holds for once.
        "folders": known if all(map(is_installed, plugins)) else [],
        "prefixes": prefixes(),
    }


def prefixes():
    """The environment's own folders, and those of the Python that it was made with."""
    names = ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix")
    found = {os.path.realpath(getattr(sys, name)) for name in names}
    return sorted(folder for folder in found if is_utf8(folder))


def is_utf8(name):
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_installed(name):
    """Whether a module that has been imported lies among installed ones, or is Python's own."""
    file = getattr(sys.modules.get(name.partition(".")[0]), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file


def folders():
    """Where packages are looked for; nothing where a name is not UTF-8."""
    if not is_utf8("".join(sys.path)):
        return []
    return [os.path.abspath(entry) for entry in sys.path]


def packages():
    """Installed distributions by normalised name, from the names of their folders alone:
    opening each one's metadata takes longer than everything else here."""
    found = {}
    for entry in sys.path:
        try:
            names = os.listdir(entry)
        except OSError:
            continue
        for name in names:
            stem, dot, kind = name.rpartition(".")
            if dot and kind in ("dist-info", "egg-info"):
                dist, _, version = stem.partition("-")
                dist = dist.lower().replace("_", "-").replace(".", "-")
                found.setdefault(dist, version.partition("-py")[0])
    return dict(sorted(found.items()))


def pytest_config(paths, options):
    try:
        from _pytest.config import findpaths
        from _pytest.config.exceptions import UsageError
    except ImportError:
        return None
    env = words(os.environ.get("PYTEST_ADDOPTS", ""), "PYTEST_ADDOPTS")
    try:
        root, inifile, ini = setup(findpaths, paths, env + options)
        folders = [name for name in ("tests", "test") if os.path.isdir(name)]
        ways = [[]] + [[name] for name in folders[:1]]
        others = [setup(findpaths, way, env)[1] for way in ways]
    except (UsageError, ValueError, OSError) as error:
        raise Broken("pytest cannot read its configuration: %s" % error)
    where = inifile or os.getcwd()
    addopts = env + words(value(ini, "addopts"), where)
    shadowed = next((it for it in others if it not in (None, inifile)), None)
    return {
        "rootdir": str(root),
        "inifile": inifile and str(inifile),
        "addopts": addopts,
        "testpaths": words(value(ini, "testpaths"), where),
        "python_files": words(value(ini, "python_files"), where),
        "norecursedirs": words(value(ini, "norecursedirs"), where),
        "has_timeout": has_timeout(ini, addopts),
        "shadowed_inifile": shadowed and str(shadowed),
        "junit_family": text(ini, "junit_family"),
        "junit_suite_name": text(ini, "junit_suite_name"),
    }


def setup(findpaths, args, addopts):
    """pytest's own search for rootdir and ini file, whose arguments differ from 7 to 9."""
    import inspect
    from pathlib import Path

    known = {
        "inifile": option(addopts, "-c", "--config-file"),
        "override_ini": [],
        "args": args,
        "rootdir_cmd_arg": option(addopts, "--rootdir"),
        "config": None,
        "invocation_dir": Path.cwd(),
    }
    parameters = inspect.signature(findpaths.determine_setup).parameters
    return findpaths.determine_setup(**{name: known[name] for name in parameters})[:3]


def option(args, *names):
    """The last value of an option among words, as `--name value`, `--name=value`, `-cvalue`."""
    found = None
    for index, word in enumerate(args):
        for name in names:
            if word == name and index + 1 < len(args):
                found = args[index + 1]
            elif word.startswith(name + "="):
                found = word[len(name) + 1 :]
            elif len(name) == 2 and word.startswith(name) and word != name:
                found = word[2:]
    return found


def value(ini, name):
    """A setting as text or list: pytest 9 wraps it."""
    found = ini.get(name, "")
    return getattr(found, "value", found)


def text(ini, name):
    """A setting that is one word or line; None where not set."""
    return str(value(ini, name)).strip() or None


def words(value, where):
    import shlex

    if not isinstance(value, str):
        return [str(word) for word in value]
    try:
        return shlex.split(value)
    except ValueError as error:
        raise Broken("%s: `%s`: %s" % (where, value, error))


def has_timeout(ini, addopts):
    """Whether pytest-timeout limits each test already."""
    asked = option(addopts, "--timeout") or os.environ.get("PYTEST_TIMEOUT")
    asked = asked or value(ini, "timeout")
    try:
        return float(asked or 0) > 0
    except (TypeError, ValueError):
        return True


def coverage_config(rcfile):
    """What coverage is configured to do, and the plugins that were asked."""
    try:
        import coverage
    except ImportError:
        return None, []
    if not hasattr(coverage, "Coverage"):
        return None, []  # A folder of that name, left over.
    try:
        cov = coverage.Coverage(**({"config_file": rcfile} if rcfile else {}))
    except coverage.CoverageException as error:
        raise Broken("coverage cannot read its configuration: %s" % error)
    plugins = listed(cov.config, "plugins")
    read = as_configured(cov.config)
    if not plugins:
        return read, []
    configurers = configured_by_plugins(cov)
    heard = as_configured(cov.config)
    changed = [name for name in heard if heard[name] != read[name]]
    heard.update(configurers=configurers, changed=changed)
    return heard, plugins


def configured_by_plugins(cov):
    """Have plugins configure, as coverage does when it starts; returns their names.

    What is wrong with one is said when it starts: no matter of ours.
    """
    # As `coverage run` has it: plugins may live in the project's folder.
    sys.path.insert(0, os.getcwd())
    try:
        cov._init()
        # coverage calls each `module.Class`.
        return [
            plugin._coverage_plugin_name.rpartition(".")[0] for plugin in cov._plugins.configurers
        ]
    except BaseException:
        return []
    finally:
        del sys.path[0]


def as_configured(config):
    names = ("source", "source_pkgs", "source_dirs")
    sources = [source for name in names for source in listed(config, name)]
    return {
        "config_file": config.config_file and os.path.abspath(config.config_file),
        "source": list(dict.fromkeys(sources)),
        "include": listed(config, "run_include"),
        "branch": bool(config.branch),
        "data_file": os.path.abspath(config.data_file),
        "fail_under": float(config.fail_under or 0),
        "precision": int(config.precision or 0),
        "html_dir": os.path.abspath(config.html_dir),
        "xml_output": os.path.abspath(config.xml_output),
        "json_output": os.path.abspath(getattr(config, "json_output", "coverage.json")),
        "lcov_output": os.path.abspath(getattr(config, "lcov_output", "coverage.lcov")),
        "dynamic_context": config.dynamic_context,
        "patch": listed(config, "patch"),
        "relative_files": bool(getattr(config, "relative_files", False)),
        "parallel": bool(getattr(config, "parallel", False)),
        "concurrency": listed(config, "concurrency"),
        "paths": sorted(getattr(config, "paths", None) or {}),
    }


def listed(config, name):
    return [str(item) for item in getattr(config, name, None) or []]


main(*sys.argv[1:3])
