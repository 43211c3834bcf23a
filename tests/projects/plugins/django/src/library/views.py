from django.http import JsonResponse

from library.models import Book


def titles(request):
    books = Book.objects.order_by("title")
    if "lent" in request.GET:
        books = books.filter(lent=True)
    return JsonResponse({"titles": [book.title for book in books]})
