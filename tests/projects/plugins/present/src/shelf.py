"""Books on a shelf."""


class Shelf:
    def __init__(self):
        self.books = []

    def add(self, book):
        if book in self.books:
            raise ValueError(book)
        self.books.append(book)

    def find(self, letter):
        return [book for book in self.books if book.startswith(letter)]
