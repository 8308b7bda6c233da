// What Argo Rollouts and Flagger send, with Go's own HTTP client: a call for each line of JSON on
// stdin, what became of it as a line on stdout.
//
// Argo: metricproviders/webmetric/webmetric.go. A client for each measurement, 10 s by default; the
// pool of connections is everybody's, unless certificates are not looked at. A body that is no 2xx
// is neither read nor closed. Flagger: pkg/controller/webhook.go with go-retryablehttp 0.7.8. A
// client with a pool of its own for each call, whose connection is left idle after an answer below
// 500. Its pauses between tries are left out.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"time"
)

type call struct {
	As       string
	Method   string
	URL      string
	Headers  map[string]string
	Body     string
	Timeout  string
	Insecure bool
	Retries  int
}

// The document as a typed reader takes it: a member of another type, or one that is unknown here,
// is an error.
type document struct {
	Schema, Gate, Key, ID, State, Verdict, Line, Reason, Hint, Canary, Report, Run, Version string

	StatusURL   string   `json:"status_url"`
	RetryAfterS float64  `json:"retry_after_s"`
	ElapsedS    float64  `json:"elapsed_s"`
	CanaryShare *float64 `json:"canary_share"`
	ExitCode    *int     `json:"exit_code"`
	Final       bool
	Connections int

	Expected, Observed, Low, High map[string]float64
}

type told struct {
	Phase   string    `json:"phase"` // of the measurement, or whether the hook said yes
	Message string    `json:"message"`
	Status  int       `json:"status"`
	Reused  bool      `json:"reused"`
	URL     string    `json:"url"` // of the answer: another one after a redirect
	Tries   int       `json:"tries"`
	Sent    *document `json:"document"`
}

func main() {
	calls, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var each call
		if err := calls.Decode(&each); err != nil {
			return
		}
		given := told{}
		var err error
		if each.As == "argo" {
			err = measure(each, &given)
		} else {
			err = hook(each, &given)
		}
		if err != nil {
			given.Phase, given.Message = "Error", err.Error()
		}
		answers.Encode(given)
	}
}

func timeout(each call) time.Duration {
	if len(each.Timeout) < 2 {
		return 10 * time.Second
	}
	length, err := time.ParseDuration(each.Timeout)
	if err != nil {
		panic(err)
	}
	return length
}

func send(client *http.Client, each call, given *told) (*http.Response, error) {
	var body io.Reader
	if each.Body != "" {
		body = bytes.NewBufferString(each.Body)
	}
	request, err := http.NewRequest(each.Method, each.URL, body)
	if err != nil {
		return nil, err
	}
	for name, value := range each.Headers {
		request.Header.Set(name, value)
	}
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { given.Reused = info.Reused }}
	given.Tries++
	response, err := client.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	if err == nil {
		given.Status, given.URL = response.StatusCode, response.Request.URL.String()
	}
	return response, err
}

func measure(each call, given *told) error {
	client := &http.Client{Timeout: timeout(each)}
	if each.Insecure {
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	}
	response, err := send(client, each, given)
	if err != nil {
		return err
	}
	if response.StatusCode < 200 || response.StatusCode >= 300 {
		return fmt.Errorf("received non 2xx response code: %v", response.StatusCode)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	reader := json.NewDecoder(bytes.NewReader(body))
	reader.DisallowUnknownFields()
	given.Sent = &document{}
	if err := reader.Decode(given.Sent); err != nil {
		return err
	}
	switch line := given.Sent.Line; { // the conditions of examples/argo-rollouts
	case strings.HasPrefix(line, "FAIL"):
		given.Phase = "Failed"
	case strings.HasPrefix(line, "PASS"):
		given.Phase = "Successful"
	default:
		given.Phase = "Inconclusive"
	}
	return nil
}

func hook(each call, given *told) error {
	pool := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second}
	if each.Insecure {
		pool = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	}
	client := &http.Client{Timeout: timeout(each), Transport: pool}
	each.Headers = map[string]string{"Content-Type": "application/json"}
	for given.Tries <= each.Retries {
		response, err := send(client, each, given)
		var unknown x509.UnknownAuthorityError
		if errors.As(err, &unknown) {
			return err
		}
		if err != nil {
			continue
		}
		code := response.StatusCode
		if code == 429 || (code >= 500 && code != 501) {
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return err
		}
		if code > 202 {
			return errors.New(string(body))
		}
		given.Phase, given.Message = "Succeeded", string(body)
		return nil
	}
	client.CloseIdleConnections()
	return fmt.Errorf("%s %s giving up after %d attempt(s)", each.Method, each.URL, given.Tries)
}
