from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BooksConfig(AppConfig):
    name = "administration.books"
    label = "books"
    verbose_name = _("The estate's own books")

    def ready(self) -> None:
        from administration.books import derivation
        from administration.record import verify

        verify.register_derivation("books", derivation.derive)
