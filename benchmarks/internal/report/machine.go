package report

import (
	"bufio"
	"cmp"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// ThisMachine describes where the program runs. What cannot be found out is left out.
func ThisMachine() Machine {
	m := Machine{
		CPU:    cmp.Or(field("/proc/cpuinfo", "model name"), output("sysctl", "-n", "machdep.cpu.brand_string")),
		Cores:  runtime.GOMAXPROCS(0),
		System: runtime.GOOS + "/" + runtime.GOARCH,
		Go:     runtime.Version(),
		Commit: output("git", "rev-parse", "--short", "HEAD"),
	}
	if kib, _, ok := strings.Cut(field("/proc/meminfo", "MemTotal"), " "); ok {
		n, _ := strconv.ParseUint(kib, 10, 64)
		m.Memory = n << 10
	} else {
		m.Memory, _ = strconv.ParseUint(output("sysctl", "-n", "hw.memsize"), 10, 64)
	}
	return m
}

// field is the value of the first line of a file that begins with name.
func field(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func output(program string, args ...string) string {
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// Versions returns the version of each module that this program is made of.
func Versions() map[string]string {
	versions := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for _, m := range info.Deps {
		if m.Replace != nil && m.Replace.Version != "" {
			m = m.Replace
		}
		versions[m.Path] = m.Version
	}
	return versions
}
