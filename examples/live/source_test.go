package main

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRedact(t *testing.T) {
	for urls, want := range map[string]string{
		"nats://localhost:4222":                    "nats://localhost:4222",
		"localhost":                                "nats://localhost",
		"127.0.0.1:4222":                           "nats://127.0.0.1:4222",
		"tls://ann:sesame@host:1?x=sesame":         "tls://host:1",
		"nats://sesame@host":                       "nats://host",
		"ann:sesame@host":                          "nats://host",
		"nats://a:sesame@one, nats://b:sesame@two": "nats://one,nats://two",
	} {
		got, err := redact(urls)
		require.NoError(t, err, urls)
		require.Equal(t, want, got)
	}
	for _, urls := range []string{"", "nats://", "nats://ann:ses/ame@host", "nats://a:sesame@host:port", "nats://%zz", "a,"} {
		_, err := redact(urls)
		require.ErrorContains(t, err, "should be like nats://127.0.0.1:4222", urls)
		require.NotContains(t, err.Error(), "ame")
	}
}

func TestReadLine(t *testing.T) {
	long := strings.Repeat("1", maxLine+10)
	br := bufio.NewReaderSize(strings.NewReader("one\r\n\n"+long+"\n2\n"+long), maxLine)
	for i, want := range []string{"one", "", long[:maxLine] + " ...", "2", long[:maxLine] + " ..."} {
		line, err := readLine(br)
		require.NoError(t, err)
		require.Equal(t, want, line, "line %d", i)
	}
	_, err := readLine(br)
	require.ErrorIs(t, err, io.EOF)

	_, _, err = decodeLine(long[:maxLine] + " ...")
	require.ErrorIs(t, err, errLine, "a line that was cut is no event")
}

func TestIsLocalHost(t *testing.T) {
	for _, host := range []string{"localhost", "localhost:8080", "127.0.0.1:8080", "127.0.0.9", "[::1]:8080"} {
		require.True(t, isLocalHost(host), host)
	}
	for _, host := range []string{"", "example.com:8080", "10.0.0.1", "localhost.example.com", "127.0.0.1.example.com"} {
		require.False(t, isLocalHost(host), host)
	}
}
