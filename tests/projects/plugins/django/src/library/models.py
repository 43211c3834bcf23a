from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=100, unique=True)
    lent = models.BooleanField(default=False)

    def lend(self):
        if self.lent:
            raise ValueError(self.title)
        self.lent = True
        self.save()
