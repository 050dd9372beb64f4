//! Objects, relations and paths over them.
