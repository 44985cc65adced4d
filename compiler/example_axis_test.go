package compiler_test

import (
	"context"
	"fmt"
	"log"
	"math"
	"testing/fstest"

	"github.com/comfyc/comfyc/compiler"
)

// An axis of your own is a Go iterator over labels and values: here strengths that fall by halves, as many as the program likes.
func ExampleFrom() {
	halves := func(yield func(label string, strength float64) bool) {
		for i := range 4 {
			if !yield(fmt.Sprintf("1:%d", 1<<i), math.Pow(0.5, float64(i))) {
				return
			}
		}
	}
	plan, findings := compiler.NewBatch("w.json").Axis("strength", compiler.From(halves), "ImageScaleBy.scale_by").
		Compile(context.Background(), compiler.Source{Dir: ".", FS: fstest.MapFS{"w.json": {Data: []byte(workflow)}}})
	if plan == nil {
		log.Fatal(findings)
	}
	for _, v := range plan.Axes()[0].Values {
		fmt.Println(v.Label, "is", string(v.Value.AppendJSON(nil)))
	}
	// Output:
	// 1:1 is 1.0
	// 1:2 is 0.5
	// 1:4 is 0.25
	// 1:8 is 0.125
}

// Axes of several kinds, with what is put together and what is left out: the words are those of GitHub Actions.
func ExampleBuilder_Zip() {
	plan, findings := compiler.NewBatch("w.json").
		Zip("shape", compiler.Labelled([]string{"wide", "tall"}, 64, 32), "EmptyImage.width").
		Zip("height", compiler.Values(32, 64), "EmptyImage.height").
		Axis("scale_by", compiler.Span(1, 2, 0.5)).
		Include(compiler.Point{"shape": compiler.Value(128), "height": compiler.Value(128), "scale_by": compiler.Value(1)}).
		Exclude(compiler.Point{"shape": compiler.Value(32), "scale_by": compiler.Value(1.5)}).
		Compile(context.Background(), compiler.Source{Dir: ".", FS: fstest.MapFS{"w.json": {Data: []byte(workflow)}}})
	if plan == nil {
		log.Fatal(findings)
	}
	axes := plan.Axes()
	for i := range plan.Coordinates() {
		for k, v := range plan.Coordinate(i).Values {
			if k > 0 {
				fmt.Print(", ")
			}
			fmt.Print(axes[k].Name, " ", axes[k].Values[v].Label)
		}
		fmt.Println()
	}
	// Output:
	// scale_by 1, shape wide, height 32
	// scale_by 1, shape tall, height 64
	// scale_by 1.5, shape wide, height 32
	// scale_by 2, shape wide, height 32
	// scale_by 2, shape tall, height 64
	// scale_by 1, shape 128, height 128
}
