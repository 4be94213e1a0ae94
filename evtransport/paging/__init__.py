"""Walks over numbered pages: a paginator without I/O, the driver of its requests, and the cursor.

HTTP and the models of a vendor do not belong here.
"""

from evtransport.paging.cursor import Cursor
from evtransport.paging.driver import PageDriver
from evtransport.paging.paginator import NewRows, PageContent, Paginator
from evtransport.paging.sizes import PageLimits, PageRequest

__all__ = [
    "Cursor",
    "NewRows",
    "PageContent",
    "PageDriver",
    "PageLimits",
    "PageRequest",
    "Paginator",
]
