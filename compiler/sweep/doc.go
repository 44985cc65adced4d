// Package sweep turns the axes of a batch into coordinates, in a stable order and without making the product.
//
// [Build] reads the parts of `sweep:` into a [Sweep]: a list of axes, and factors whose rows say which values go together. A plain axis
// is a factor with a row for each of its values, a zip group is one with a row for each step, and a nested axis is a row of its parent.
// The coordinates are the product of the factors, the last one fastest, less what is excluded, with what is included, and of that the
// sample: the order in which GitHub Actions reads the same words. [Sweep.At] finds any coordinate from its index alone, so that memory does
// not grow with the product; a sweep with excludes or a sample keeps eight bytes for each coordinate that is left.
//
// A coordinate's id ([Sweep.ID]) is made of the names and values of its axes only: adding a value or reordering the file changes
// no id of what stays.
//
// Limits: 1,000,000 values on an axis, 10,000,000 coordinates, 2^62 combinations to sample from, 20,000,000 to exclude from. A built
// Sweep is read-only and may be used from many goroutines.
package sweep
