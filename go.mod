module github.com/gobroadcast/broadcast

go 1.26
