// Package nodes knows what node classes there are: their inputs with types, ranges and options, and their outputs.
//
// A [Catalogue] comes from an /object_info answer. The built-in one is embedded, compressed, holds facts only, and is decoded class by class
// when a class is first asked for. In it, lists of models and files that were empty at import are open (any name may exist on a
// worker); a snapshot that a user gives is taken literally. Catalogues are safe for concurrent use and never change.
package nodes
