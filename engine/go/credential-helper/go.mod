module github.com/ocibuild/ocibuild/engine/go/credential-helper

go 1.26.3

tool github.com/ocibuild/ocibuild/engine/go/credential-helper
