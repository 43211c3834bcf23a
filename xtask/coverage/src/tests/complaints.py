"""Prints what `jsonschema` has to say against each instance, as a list of JSON.

Run with a file that has the schema and a list of instances.
"""

import json
import sys

from jsonschema import Draft202012Validator

schema, instances = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)


def first_error(instance):
    errors = validator.iter_errors(instance)
    return next((f"{error.json_path}: {error.message}" for error in errors), None)


print(json.dumps([first_error(instance) for instance in instances]))
