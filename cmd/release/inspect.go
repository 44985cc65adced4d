package main

import (
	"crypto/sha256"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxSize bounds a binary by its system, in bytes: what people download. RATIONALE.md says what is in it. The others' formats take more for the same.
var maxSize = map[string]int64{"linux": 45_000_000, "darwin": 48_000_000, "windows": 48_000_000}

// inspect checks that a binary is for its platform, and static where that is said of an executable's header. It gives the size.
// "Static" is checked for Linux alone: it means that no dynamic loader is asked for, so the binary runs in an empty container.
// macOS and Windows binaries always use the system's libraries.
func inspect(path string, t target) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if most := maxSize[t.os]; info.Size() > most {
		return 0, fmt.Errorf("%s has %d bytes, more than %d", path, info.Size(), most)
	}
	// t.os is one of the three in targets; another would be a nil function here, and a panic that shows at the first build.
	check := map[string]func(string, string) error{"linux": inspectELF, "darwin": inspectMachO, "windows": inspectPE}[t.os]
	if err := check(path, t.arch); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return info.Size(), nil
}

// inspectELF checks machine and loader; the path stands in the error that inspect makes.
func inspectELF(path, arch string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]; f.Machine != want {
		return fmt.Errorf("it is for %s", f.Machine)
	}
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) { // PT_INTERP names the dynamic loader
		return errors.New("it is not static")
	}
	return nil
}

// inspectMachO checks the processor only. The binary is not signed here, beyond what the linker does for arm64.
func inspectMachO(path, arch string) error {
	f, err := macho.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if want := map[string]macho.Cpu{"amd64": macho.CpuAmd64, "arm64": macho.CpuArm64}[arch]; f.Cpu != want {
		return fmt.Errorf("it is for %s", f.Cpu)
	}
	return nil
}

// inspectPE checks the machine field of the header.
func inspectPE(path, arch string) error {
	f, err := pe.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if want := map[string]uint16{"amd64": pe.IMAGE_FILE_MACHINE_AMD64, "arm64": pe.IMAGE_FILE_MACHINE_ARM64}[arch]; f.Machine != want {
		return fmt.Errorf("it is for machine %#x", f.Machine)
	}
	return nil
}

// checksums writes SHA256SUMS, as sha256sum -c reads it.
// Lines are "HEX  NAME", sorted by name. files is sorted in place. Manual pages and completions are not in it: they are not
// downloaded alone.
func checksums(dir string, files []string) error {
	var b strings.Builder
	slices.Sort(files)
	for _, name := range files {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%x  %s\n", h.Sum(nil), name)
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(b.String()), 0o644)
}
