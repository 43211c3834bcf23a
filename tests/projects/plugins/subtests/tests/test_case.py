import unittest

from units import METRES, metres


class TestUnits(unittest.TestCase):
    def test_each(self):
        for unit in METRES:
            with self.subTest(unit=unit):
                self.assertGreater(metres(2, unit), 1)

    def test_none(self):
        with self.subTest("nothing"):
            self.assertEqual(metres(0, "mile"), 0)
