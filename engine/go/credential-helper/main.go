// The credential helper inside a build: it passes its call to the running build and prints the answer.
//
// BuildKit's client runs it once for every registry, while nothing else goes on. It does what
// ocibuild_core/auth/client.py does where this wheel is not installed, in a fifth of the time: an interpreter takes
// longer to start than all the rest.
package main

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

const (
	brokerVariable = "OCIBUILD_BROKER"
	most           = 1 << 20
	patience       = 120 * time.Second
)

// `list` reads no stdin: clients write it a word that means nothing, people nothing at all (credentials.go, `List`, in
// docker/docker-credential-helpers).
var readsStdin = []string{"get", "store", "erase"}

func main() {
	action := ""
	if len(os.Args) == 2 {
		action = os.Args[1]
	}
	var question []byte
	if slices.Contains(readsStdin, action) {
		// A closed stdin: nothing was asked.
		question, _ = io.ReadAll(io.LimitReader(os.Stdin, most))
	}
	status, output, err := ask(os.Getenv(brokerVariable), action, question)
	if err != nil {
		status, output = 1, []byte("the build that gave this login cannot be reached ("+reason(err)+")\n")
	}
	_, _ = os.Stdout.Write(output)
	os.Exit(status)
}

// ask puts one call to the broker: the action, a newline, what stood on stdin. The answer is the exit status as one
// digit, and what to print.
func ask(socket, action string, question []byte) (int, []byte, error) {
	connection, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return 0, nil, err
	}
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, nil, err
	}
	if _, err := connection.Write(append([]byte(action+"\n"), question...)); err != nil {
		return 0, nil, err
	}
	if err := connection.CloseWrite(); err != nil {
		return 0, nil, err
	}
	answer, err := io.ReadAll(connection)
	if err != nil {
		return 0, nil, err
	}
	if len(answer) == 0 {
		return 0, nil, errors.New("it gave no answer")
	}
	return int(answer[0] - '0'), answer[1:], nil
}

// reason leaves out what `net` says of the socket's path, which is nobody's business.
func reason(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return err.Error()
}
