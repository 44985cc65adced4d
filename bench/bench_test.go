package bench

import "testing"

// BenchmarkCases runs the list with Go's own flags: go test -bench Cases/Check ./bench
func BenchmarkCases(b *testing.B) {
	env, err := NewEnv(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range Cases {
		b.Run(c.Name, func(b *testing.B) {
			if c.Skip != nil {
				if why := c.Skip(env); why != nil {
					b.Skip(why)
				}
			}
			if err := c.Run(env, b); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func TestCases(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Cases {
		if c.Name == "" || c.What == "" || c.Run == nil || seen[c.Name] {
			t.Errorf("case %q is not whole, or there twice", c.Name)
		}
		seen[c.Name] = true
		for _, g := range c.Goals {
			if g.Unit == "" || g.Meaning == "" || g.Most == 0 && g.Least == 0 {
				t.Errorf("%s: a goal that holds nothing: %+v", c.Name, g)
			}
		}
	}
}

func TestGoal(t *testing.T) {
	most, least := Goal{Most: 10}, Goal{Least: 20}
	if !most.Met(10) || most.Met(10.1) || !least.Met(20) || least.Met(19.9) {
		t.Error("goals are held wrongly")
	}
}

// TestOnce runs the cases that need nothing else once each, so that the list keeps working.
func TestOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("benchmarks take some seconds")
	}
	env, err := NewEnv(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"CatalogueLoad", "Check1000", "ResolveHash", "Collect1024"} {
		for _, c := range Cases {
			if c.Name == name {
				var failed error
				r := testing.Benchmark(func(b *testing.B) {
					if b.N == 1 {
						failed = c.Run(env, b)
					}
				})
				if failed != nil || r.N == 0 {
					t.Errorf("%s: %v", name, failed)
				}
			}
		}
	}
}
