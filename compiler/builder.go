package compiler

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
)

// Builder writes a batch in code. It is batch.yaml without YAML: each method stands for a key, and the plan is that of the equal file, with
// the same ids and the same hash. Mistakes, such as an address that does not exist, are findings of Compile; their places are in the text that
// [Builder.File] gives. A Builder is for one goroutine; its methods give it back, so that calls can be chained.
type Builder struct {
	top                              source.Value
	set, inputs, bind, matrix, group source.Value
	include, exclude                 []*source.Value
	sample                           *source.Value
}

// NewBatch begins a batch for a workflow's file: a path, from Source.Dir or the working folder.
func NewBatch(workflow string) *Builder {
	b := &Builder{}
	return b.With("version", Value(1)).With("workflow", Value(workflow))
}

// Scalar are the types of values that inputs take. uint64 holds any seed.
type Scalar interface {
	string | bool | int | int64 | uint64 | float64
}

// Value makes a value of a batch.
func Value[T Scalar](v T) *source.Value {
	switch v := any(v).(type) {
	case string:
		return source.NewString(v)
	case bool:
		return source.NewBool(v)
	case int:
		return source.NewInt(int64(v))
	case int64:
		return source.NewInt(v)
	case uint64:
		return source.NewNumber(strconv.FormatUint(v, 10))
	case float64:
		return source.NewFloat(v)
	}
	panic("not a Scalar") // the constraint has no other types
}

// List makes a list of values, for [Builder.With].
func List[T Scalar](values ...T) *source.Value {
	list := source.NewArray()
	for _, v := range values {
		list.Items = append(list.Items, Value(v))
	}
	return list
}

// AxisSpec says where the values of an axis come from.
type AxisSpec struct{ spec *source.Value }

// Values are the values themselves.
func Values[T Scalar](values ...T) AxisSpec { return AxisSpec{List(values...)} }

// Labelled are values with the labels that galleries and file names show. Labels are in the order of the values.
func Labelled[T Scalar](labels []string, values ...T) AxisSpec {
	list := source.NewArray()
	for i, v := range values {
		item := source.NewObject(pair("value", Value(v)))
		if i < len(labels) {
			item.Members = append(item.Members, source.Member{Key: "label", Value: Value(labels[i])})
		}
		list.Items = append(list.Items, item)
	}
	return AxisSpec{list}
}

// From takes the values of an axis of your own: whatever a program can walk over, with a label for each ("" for the value itself). It is walked once, when
// it is called, and no further than [sweep.MaxValues] + 1 values, which Compile then refuses: an endless sequence is a finding and no hang.
func From[T Scalar](values iter.Seq2[string, T]) AxisSpec {
	list := source.NewArray()
	for label, v := range values {
		item := Value(v)
		if label != "" {
			item = source.NewObject(pair("value", item), pair("label", Value(label)))
		}
		if list.Items = append(list.Items, item); len(list.Items) > sweep.MaxValues {
			break
		}
	}
	return AxisSpec{list}
}

// Span counts from one number to another, both included, in decimal arithmetic.
func Span(from, to, step float64) AxisSpec {
	return AxisSpec{source.NewObject(pair("from", Value(from)), pair("to", Value(to)), pair("step", Value(step)))}
}

// Count counts whole numbers from one on.
func Count(from, count int) AxisSpec {
	return AxisSpec{source.NewObject(pair("from", Value(from)), pair("count", Value(count)))}
}

// RandomSeeds are so many different numbers below 2^53, drawn by the batch's seed.
func RandomSeeds(count int) AxisSpec { return AxisSpec{source.NewObject(pair("random", Value(count)))} }

// Files are the local files that fit a pattern; they are uploaded.
func Files(pattern string) AxisSpec { return AxisSpec{source.NewObject(pair("files", Value(pattern)))} }

// Lines are the lines of a text file.
func Lines(file string) AxisSpec { return AxisSpec{source.NewObject(pair("lines", Value(file)))} }

// CSV is a column of a file whose first row names the columns.
func CSV(file, column string) AxisSpec {
	return AxisSpec{source.NewObject(pair("csv", source.NewObject(pair("file", Value(file)), pair("column", Value(column)))))}
}

// JSONL is a field of a file that has a JSON object a line.
func JSONL(file, field string) AxisSpec {
	return AxisSpec{source.NewObject(pair("jsonl", source.NewObject(pair("file", Value(file)), pair("field", Value(field)))))}
}

// Replace searches for the first text in what its addresses hold, and puts each of the texts in its place.
func Replace(texts ...string) AxisSpec {
	return AxisSpec{source.NewObject(pair("replace", List(texts...)))}
}

// LoRAs are every name with every strength.
func LoRAs(names []string, strengths ...float64) AxisSpec {
	spec := source.NewObject(pair("lora", List(names...)))
	if len(strengths) > 0 {
		spec.Members = append(spec.Members, source.Member{Key: "strength", Value: List(strengths...)})
	}
	return AxisSpec{spec}
}

// With gives a key of the batch a value as it would stand in the file: name, seed, endpoints, …, or a key within one, such as output.filename,
// schedule.fuse, gallery.rows. docs/batch.md lists them all.
func (b *Builder) With(key string, v *source.Value) *Builder {
	top, inner, nested := strings.Cut(key, ".")
	if nested {
		group := source.NewObject()
		if old := b.top.Get(top); old != nil { // it may be the caller's
			group.Members = slices.Clone(old.Members)
		}
		put(group, inner, v)
		v = group
	}
	put(&b.top, top, v)
	return b
}

// Set gives an input a fixed value.
func (b *Builder) Set(address string, v *source.Value) *Builder {
	put(&b.set, address, v)
	return b
}

// Input uploads a local file for an input that loads one.
func (b *Builder) Input(address, file string) *Builder {
	put(&b.inputs, address, Value(file))
	return b
}

// Axis adds an axis to the matrix. Without addresses its name is one, or it is used as ${name} in texts.
func (b *Builder) Axis(name string, values AxisSpec, addresses ...string) *Builder {
	put(&b.matrix, name, values.spec)
	return b.bound(name, addresses)
}

// Zip adds an axis that walks in step with the others that were added by Zip.
func (b *Builder) Zip(name string, values AxisSpec, addresses ...string) *Builder {
	put(&b.group, name, values.spec)
	return b.bound(name, addresses)
}

func (b *Builder) bound(name string, addresses []string) *Builder {
	if len(addresses) > 0 {
		put(&b.bind, name, List(addresses...))
	}
	return b
}

// Point is an entry of include or exclude: axis names with values.
type Point map[string]*source.Value

// value writes a point with its names sorted.
func (p Point) value() *source.Value {
	o := source.NewObject()
	for _, name := range slices.Sorted(maps.Keys(p)) {
		put(o, name, p[name])
	}
	return o
}

// Include merges a point into the coordinates that it fits, or adds it, as GitHub Actions does.
func (b *Builder) Include(p Point) *Builder {
	b.include = append(b.include, p.value())
	return b
}

// Exclude takes away all coordinates that a point fits.
func (b *Builder) Exclude(p Point) *Builder {
	b.exclude = append(b.exclude, p.value())
	return b
}

// Sample keeps a reproducible part of the coordinates.
func (b *Builder) Sample(count int, seed uint64) *Builder {
	b.sample = source.NewObject(pair("count", Value(count)), pair("seed", Value(seed)))
	return b
}

// File gives the batch as the JSON that is compiled, under the name batch.json.
func (b *Builder) File() *source.File {
	out := source.Value{Kind: source.Object, Members: slices.Clone(b.top.Members)}
	sweep := source.Value{Kind: source.Object}
	add := func(to *source.Value, key string, v source.Value) {
		if v.Kind = source.Object; len(v.Members) > 0 {
			put(to, key, &v)
		}
	}
	add(&out, "inputs", b.inputs)
	add(&out, "set", b.set)
	add(&sweep, "matrix", b.matrix)
	add(&sweep, "zip", b.group)
	for key, points := range map[string][]*source.Value{"include": b.include, "exclude": b.exclude} {
		if len(points) > 0 {
			put(&sweep, key, source.NewArray(points...))
		}
	}
	if b.sample != nil {
		put(&sweep, "sample", b.sample)
	}
	slices.SortStableFunc(sweep.Members, func(x, y source.Member) int { return sweepOrder(x.Key) - sweepOrder(y.Key) })
	add(&out, "sweep", sweep)
	add(&out, "bind", b.bind)
	return source.NewFile("batch.json", out.Indent())
}

// sweepOrder is the order in which the keys of a sweep are written.
func sweepOrder(key string) int {
	return slices.Index([]string{"matrix", "zip", "include", "exclude", "sample"}, key)
}

// Compile makes the plan. src says all that is not the batch itself; its File is not looked at.
func (b *Builder) Compile(ctx context.Context, src Source) (*Plan, []diag.Diagnostic) {
	src.File = b.File()
	return Compile(ctx, src)
}

// put adds a member, or replaces it in its place.
func put(o *source.Value, key string, v *source.Value) {
	for i := range o.Members {
		if o.Members[i].Key == key {
			o.Members[i].Value = v
			return
		}
	}
	o.Kind, o.Members = source.Object, append(o.Members, source.Member{Key: key, Value: v})
}

// pair is a member of an object.
func pair(key string, v *source.Value) source.Member { return source.Member{Key: key, Value: v} }
