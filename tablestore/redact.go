package tablestore

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
)

// Bounds of foreign text in messages, in characters.
const (
	maxForeign = 200  // whatever a server or a library says
	maxMessage = 1000 // what the service says about its error
)

// printable makes text fit for one line of a log: printable characters only, at most limit of them.
func printable(text string, limit int) string {
	simple := len(text) <= limit
	for i := 0; simple && i < len(text); i++ {
		simple = text[i] >= ' ' && text[i] <= '~'
	}
	if simple {
		return strings.TrimSpace(text)
	}
	var b strings.Builder
	n := 0
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || unicode.IsSpace(r) || r == unicode.ReplacementChar }) {
		if n > 0 {
			b.WriteByte(' ')
			n++
		}
		for _, r := range word {
			if n >= limit {
				return b.String() + "…"
			}
			b.WriteRune(r)
			n++
		}
	}
	return b.String()
}

// redacted stands where a credential was.
const redacted = "[redacted]"

// redactor removes credentials from text that leaves this package. The zero value removes nothing. It may
// learn of more while it is used.
type redactor struct {
	secrets  atomic.Pointer[[]string]
	learning sync.Mutex
}

// maxSecrets is how many texts are looked for: those of the last few credentials of a client whose credentials change.
const maxSecrets = 24

// minSecret is the length in bytes from which a secret is looked for. Those of the service have 30; a shorter one, in somebody's
// test, would be found in every other word, the service's error codes included.
const minSecret = 6

// learn adds secrets to those that are removed.
func (r *redactor) learn(secrets ...string) {
	r.learning.Lock()
	defer r.learning.Unlock()
	var known []string
	if before := r.secrets.Load(); before != nil {
		known = slices.Clone(*before)
	}
	for _, secret := range secrets {
		if len(secret) < minSecret {
			continue
		}
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			if !slices.Contains(known, form) {
				known = append(known, form)
			}
		}
	}
	known = known[max(0, len(known)-maxSecrets):]
	r.secrets.Store(&known)
}

// foreign is text that came from outside, fit for a message. Credentials go before it is cut, or
// half of one could stay.
func (r *redactor) foreign(text string) string { return printable(r.text(text), maxForeign) }

func (r *redactor) text(text string) string {
	secrets := r.secrets.Load()
	if secrets == nil {
		return text
	}
	for _, secret := range *secrets {
		text = strings.ReplaceAll(text, secret, redacted)
	}
	return text
}

// cause returns the error itself, or only its redacted text when that holds a credential.
func (r *redactor) cause(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if clean := r.text(text); clean != text {
		return errors.New(clean)
	}
	return err
}
