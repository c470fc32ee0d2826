"""The part of OData that Graph speaks: query options, and the filter language."""
