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
// For example, matrix {cfg: [5, 7], seed: [1, 2, 3]} is two factors and six coordinates:
//
//	index  0      1      2      3      4      5
//	cfg    5      5      5      7      7      7
//	seed   1      2      3      1      2      3
//
// With exclude [{cfg: 7, seed: 2}] the fifth is gone and the last has the index 4; with include [{cfg: 5,
// steps: 30}] the first three get a value on a third axis, which the others lack.
//
// Limits: 1,000,000 values on an axis, 10,000,000 coordinates, 2^62 combinations to sample from, 20,000,000 to exclude from. A built
// Sweep is read-only and may be used from many goroutines.
package sweep
