package enrichment

import "testing"

func TestWhatIsSaidOfOthersIsLeftOut(t *testing.T) {
	person := naming(formsOf("ana@example.net", "ana@example.net"))
	for body, want := range map[string]string{
		`[{"email":"ana@example.net","tags":["a","b"]},{"email":"ben@example.net"}]`:                      `[{"email":"ana@example.net","tags":["a","b"]}]`,
		`{"events":[{"data":{"email":"joana@example.net"}},{"data":{"email":"ANA@example.net"}}],"id":7}`: `{"events":[{"data":{"email":"ANA@example.net"}}],"id":7}`,
		`{"member":{"email":"ana@example.net","newsletters":[{"name":"Weekly"}]}}`:                        `{"member":{"email":"ana@example.net","newsletters":[{"name":"Weekly"}]}}`,
		`type=subscribe&data[email]=ana@example.net`:                                                      `type=subscribe&data[email]=ana@example.net`,
	} {
		if got := string(about([]byte(body), person)); got != want {
			t.Errorf("%s became %s, want %s", body, got, want)
		}
	}
}
