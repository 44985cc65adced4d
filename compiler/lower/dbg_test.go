package lower

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

func TestDbg(t *testing.T) {
	if os.Getenv("CASES") == "" {
		t.Skip()
	}
	cat := truthCatalogue(t)
	files, _ := filepath.Glob(os.Getenv("CASES") + "/*.json")
	sort.Strings(files)
	okc, bad := 0, 0
	for _, f := range files {
		if o := os.Getenv("ONE"); o != "" && !strings.Contains(f, o) {
			continue
		}
		c := parseFile(t, f)
		of := filepath.Join(os.Getenv("ORACLE"), filepath.Base(f))
		if _, err := os.Stat(of); err != nil {
			continue
		}
		o := parseFile(t, of)
		got, findings, ok := Lower(c.Get("workflow"), cat, Options{})
		want := o.Get("prompt")
		why := ""
		switch {
		case isNull(want) && ok:
			why = "refused there: " + textOf(o.Get("error"))
		case isNull(want):
		case !ok:
			why = fmt.Sprint("refused here: ", findings[0].Code, findings[0].Message)
			for _, x := range findings {
				if x.Severity == 0 {
					why = fmt.Sprint("refused here: ", x.Code, x.Message)
				}
			}
			if len(want.Members) == 0 && strings.Contains(why, "empty_prompt") {
				why = ""
			}
		default:
			why = comparePrompts(got, want, nil)
		}
		if l := o.Get("load"); l != nil && !l.Bool {
			why += " LOADFAIL"
		}
		if why != "" {
			bad++
			fmt.Printf("%s %s: %.420s\n", filepath.Base(f), show(c.Get("log")), strings.ReplaceAll(why, "\n", " "))
		} else {
			okc++
		}
		if os.Getenv("ONE") != "" {
			fmt.Println("WARN", show(o.Get("warns")))
			for _, x := range findings {
				fmt.Println(x.Severity, x.Code, x.Message)
			}
		}
	}
	fmt.Println("ok", okc, "bad", bad)
}
