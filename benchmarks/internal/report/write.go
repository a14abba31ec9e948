package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Writable tells why a report could not be written to path, before anything is measured.
// It changes nothing.
func Writable(path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("cannot write the report: %s is no file: pass another with -o", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot write the report: there is no folder %s: make it, or pass another file with -o", filepath.Dir(path))
		}
		return fmt.Errorf("cannot write the report: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Write writes the report to path and its plots beside it. Each file is replaced as a
// whole, the report last, so that an old report never shows new plots for long. It
// returns the names of the files.
func Write(path string, data Data) ([]string, error) {
	base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	contents, err := plots(data)
	if err != nil {
		return nil, fmt.Errorf("plots: %w", err)
	}
	type file struct{ temp, final string }
	var files []file
	defer func() {
		for _, f := range files {
			_ = os.Remove(f.temp) // gone already if all went well
		}
	}()
	write := func(final string, content []byte) error {
		f, err := os.CreateTemp(filepath.Dir(path), ".report-*")
		if err != nil {
			return err
		}
		files = append(files, file{f.Name(), final})
		_, err = f.Write(content)
		return errors.Join(err, f.Chmod(0o644), f.Close())
	}
	for _, p := range contents {
		if err := write(filepath.Join(filepath.Dir(path), base+"-"+p.name+".svg"), p.svg); err != nil {
			return nil, err
		}
	}
	if err := write(path, []byte(markdown(data, base))); err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		if err := os.Rename(f.temp, f.final); err != nil {
			return nil, err
		}
		names = append(names, f.final)
	}
	return names, nil
}
