"""A till that knows its shop, the date, and a bank."""

import datetime
import os
import urllib.request

SHOP = os.environ.get("TILL")


def receipt(*prices):
    total = sum(prices)
    if total > 100:
        return {"shop": SHOP, "total": total, "thanks": "many"}
    return {"shop": SHOP, "total": total}


def date():
    return datetime.date.today().isoformat()


def ask(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()
