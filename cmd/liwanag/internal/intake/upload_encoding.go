package intake

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// traces collects the first lines of a file that are not ASCII, wherever they are.
type traces struct {
	lines []byte
	line  []byte // the present one
	high  bool   // it is not ASCII
}

func (t *traces) Write(p []byte) (int, error) {
	for _, c := range p {
		if len(t.lines) >= sampleBytes {
			break
		}
		if c == '\n' || c == '\r' {
			t.end()
			continue
		}
		t.high = t.high || c >= 0x80
		if len(t.line) < sampleBytes {
			t.line = append(t.line, c)
		}
	}
	return len(p), nil
}

func (t *traces) end() {
	if t.high {
		t.lines = append(append(t.lines, t.line...), '\n')
	}
	t.line, t.high = t.line[:0], false
}

// detect says how the file is written, of which the head looks like that.
func (t *traces) detect(head detection) detection {
	if t.end(); wideName(t.lines) != "" || isWide(head.name) {
		return head
	}
	return detect(t.lines)
}

func isWide(name string) bool {
	return slices.ContainsFunc(wide, func(e namedEncoding) bool { return e.name == name })
}

// EncodingSample shows how a file reads in an encoding.
type EncodingSample struct {
	Name   string
	Values []string // at most three cells with letters that are not ASCII
}

// tracesOf collects the traces of a stored file.
func (u *Uploads) tracesOf(ctx context.Context, id liwanag.ID) (*traces, error) {
	seen := &traces{}
	for n := 0; len(seen.lines) < sampleBytes; n++ {
		chunk, err := u.store.Uploads.Chunk(ctx, id, n)
		if errors.Is(err, liwanag.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		_, _ = seen.Write(chunk)
	}
	seen.end()
	return seen, nil
}

// encodingOf is how a stored file is written, as far as that is known.
func (u *Uploads) encodingOf(ctx context.Context, up liwanag.Upload) (detection, error) {
	if up.Encoding != "" && up.Failure.Code != CodeUnclearEncoding {
		return detection{name: up.Encoding}, nil
	}
	_, head, err := toUTF8(&chunkReader{ctx: ctx, store: u.store, id: up.ID}, "")
	if err != nil {
		return detection{}, err
	}
	seen, err := u.tracesOf(ctx, up.ID)
	if err != nil {
		return detection{}, err
	}
	return seen.detect(head), nil
}

// Encodings shows how the file of an upload reads: in its encoding, or in each that
// it may be. None once the file is forgotten.
func (u *Uploads) Encodings(ctx context.Context, up liwanag.Upload) ([]EncodingSample, error) {
	found, err := u.encodingOf(ctx, up)
	if refused := (*FileError)(nil); errors.As(err, &refused) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var samples []EncodingSample
	for _, name := range append(found.doubts, found.name) {
		if slices.ContainsFunc(samples, func(s EncodingSample) bool { return s.Name == name }) {
			continue
		}
		text, err := u.textOf(ctx, up.ID, name)
		if err != nil {
			return nil, err
		}
		samples = append(samples, EncodingSample{name, foreignValues(text)})
	}
	return samples, nil
}

// textOf is what is telling of a file, read in an encoding.
func (u *Uploads) textOf(ctx context.Context, id liwanag.ID, name string) (string, error) {
	if isWide(name) {
		in, _, err := toUTF8(&chunkReader{ctx: ctx, store: u.store, id: id}, name)
		if err != nil {
			return "", err
		}
		text, err := in.Peek(sampleBytes)
		if err == io.EOF {
			err = nil
		}
		return string(text), err
	}
	seen, err := u.tracesOf(ctx, id)
	if err != nil {
		return "", err
	}
	_, enc, ok := EncodingNamed(name)
	if !ok || enc == nil {
		return string(seen.lines), nil
	}
	return enc.NewDecoder().String(string(seen.lines))
}

// foreignValues are the first cells with letters that are not ASCII.
func foreignValues(text string) (values []string) {
	for cell := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(",;\t|\"\r\n", r) }) {
		if cell = cutText(cell); letters(cell) == 0 || slices.Contains(values, cell) {
			continue
		}
		if values = append(values, cell); len(values) == 3 {
			break
		}
	}
	return values
}
