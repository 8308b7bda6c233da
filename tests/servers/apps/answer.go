// One answer in three framings on net/http, which is counted.
//
//	go run answer.go ADDRESS:PORT
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
)

func main() {
	counts, err := os.OpenFile(os.Getenv("COUNTS"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	body := fmt.Sprintf(`{"label": %q}`, os.Getenv("LABEL"))
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(counts, r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		switch strings.Split(r.URL.Path, "/")[1] {
		case "chunked":
			fmt.Fprint(w, body[:7])
			w.(http.Flusher).Flush()
			fmt.Fprint(w, body[7:])
			return
		case "close":
			w.Header().Set("Connection", "close")
		}
		fmt.Fprint(w, body)
	})
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
