package local

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A server with a folder listens on a socket in it, for the commands that are run beside it on the same folder: who can write to the
// folder can use it, and nobody else.
//
//	GET  /healthz      200, or 503 with the reason
//	POST /checkpoint   the name of a folder below checkpoints/ with the data of this moment; it goes when the connection does

const (
	controlName     = "control.sock"
	checkpointsName = "checkpoints"
	// controlTimeout is how long an answer on the socket may take.
	controlTimeout = time.Minute
)

// controlSocket is the server's end of it.
type controlSocket struct {
	server *http.Server
	folder *os.File
	done   chan struct{}
}

// startControl listens on the socket. A folder on which there can be no sockets is served without.
func (s *Server) startControl() {
	if s.options.Memory {
		return
	}
	folder, path, err := socketPath(s.options.Dir)
	if err != nil {
		s.log.Warn("no control socket", "error", err)
		return
	}
	// What is there belongs to a server that was killed: this one has the folder's lock.
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	var listener net.Listener
	if err == nil {
		listener, err = net.Listen("unix", path)
	}
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		s.log.Warn("no control socket", "error", err)
		_ = folder.Close()
		return
	}
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", s.HealthHandler())
	mux.HandleFunc("POST /checkpoint", s.serveCheckpoint)
	c := &controlSocket{server: &http.Server{Handler: mux, ReadHeaderTimeout: controlTimeout}, folder: folder, done: make(chan struct{})}
	s.socket = c
	go func() {
		defer close(c.done)
		if err := c.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("control socket", "error", err)
		}
	}()
}

func (s *Server) stopControl() {
	if s.socket == nil {
		return
	}
	_ = s.socket.server.Close() // also removes the socket
	<-s.socket.done
	_ = s.socket.folder.Close()
}

// socketPath returns a path of the folder's socket that is short enough for one, however long the folder's is, for as long as the
// file is open.
func socketPath(dir string) (*os.File, string, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, "", err
	}
	return folder, fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), controlName), nil
}

// HealthHandler answers 200, or 503 with the reason that [Server.Health] gives.
func (s *Server) HealthHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		text := "ok"
		if err := s.Health(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			text = err.Error()
		}
		fmt.Fprintln(w, text)
	})
}

// askControl sends a request to the server of a folder. errNoServer says that there is none.
func askControl(ctx context.Context, dir, method, path string) (*http.Response, error) {
	folder, socket, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	dialer := net.Dialer{Timeout: controlTimeout}
	connection, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoServer, err)
	}
	transport := &http.Transport{
		DialContext:           func(context.Context, string, string) (net.Conn, error) { return connection, nil },
		ResponseHeaderTimeout: controlTimeout, DisableKeepAlives: true,
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, http.NoBody)
	if err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("ask the server of %s: %w", dir, errors.Join(err, connection.Close()))
	}
	return response, nil
}

var errNoServer = errors.New("no server runs on the folder")

// CheckHealth asks the server that runs on the folder for its health.
func CheckHealth(ctx context.Context, dir string) error {
	response, err := askControl(ctx, dir, http.MethodGet, "/healthz")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := bufio.NewReader(response.Body).ReadString('\n')
	if err != nil {
		return fmt.Errorf("ask the server of %s: %w", dir, err)
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(strings.TrimSpace(text))
	}
	return nil
}

// checkpointAnswer is what POST /checkpoint answers.
type checkpointAnswer struct {
	Name  string `json:"name,omitempty"`
	Error string `json:"error,omitempty"`
}

// serveCheckpoint makes a checkpoint, which costs little as it consists of links, and keeps it while the client is there.
func (s *Server) serveCheckpoint(w http.ResponseWriter, r *http.Request) {
	name := newUUID()
	path := filepath.Join(s.options.Dir, checkpointsName, name)
	begin := time.Now()
	err := s.checkpoint(path)
	answer := checkpointAnswer{Name: name}
	if err != nil {
		s.log.Error("checkpoint", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		answer = checkpointAnswer{Error: err.Error()}
	}
	defer func() {
		if err := os.RemoveAll(path); err != nil {
			s.log.Error("remove a checkpoint", "error", err)
		}
	}()
	if json.NewEncoder(w).Encode(answer) != nil || http.NewResponseController(w).Flush() != nil || err != nil {
		return
	}
	<-r.Context().Done()
	s.log.Info("checkpoint for a backup", "duration", time.Since(begin))
}

// checkpoint puts the data of this moment into a new folder.
func (s *Server) checkpoint(path string) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return ErrClosed
	}
	if err := s.db.Checkpoint(path); err != nil {
		return err
	}
	last, _, err := readStarts(s.disk, s.options.Dir)
	if err != nil {
		return err
	}
	return writeStarts(s.disk, path, last)
}

// removeCheckpoints removes what a server that was killed during a backup left.
func (s *Server) removeCheckpoints() error {
	if s.options.Memory {
		return nil
	}
	return os.RemoveAll(filepath.Join(s.options.Dir, checkpointsName))
}
