"""Settings of the site."""

import os
from pathlib import Path

FOLDER = Path(__file__).parent.parent
SECRET_KEY = "not one"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "library"]
ROOT_URLCONF = "library.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "library.sqlite3",
        "TEST": {"NAME": os.environ.get("LIBRARY_TEST_NAME")},
    }
}
