// Package browser tests the console as people use it: the real program, the
// FullEnrich simulator beside it, and Debian's Chromium in front of it. Whatever
// the browser complains of, be it a script's error, a refused policy or a file
// that does not load, fails the test it happened in.
package browser
