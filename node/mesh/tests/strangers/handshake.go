// Go's crypto/tls at the other end of the mesh's handshake.
//
//	handshake dial|answer GROUPS PAPERS PORT FOLDER
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"
)

var groups = map[string]tls.CurveID{
	"SecP384r1MLKEM1024": tls.SecP384r1MLKEM1024,
	"X25519MLKEM768":     tls.X25519MLKEM768,
	"X25519":             tls.X25519,
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func refused(err error) {
	if err != nil {
		fmt.Println("refused", err)
		os.Exit(0)
	}
}

func main() {
	role, offered, papers, port, folder := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	file := func(name string) string { return filepath.Join(folder, name) }
	own := must(tls.LoadX509KeyPair(file("mesh-"+papers+".pem"), file("mesh-"+papers+".key.pem")))
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(must(os.ReadFile(file("mesh-root.pem")))) {
		os.Exit(1)
	}
	config := &tls.Config{
		Certificates:       []tls.Certificate{own},
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{"caxton-mesh/1"},
		ServerName:         "mesh.caxton.internal",
		ClientAuth:         tls.RequireAnyClientCert,
		InsecureSkipVerify: true, // The name is in the URI; the chain is looked at below, both ways alike.
		VerifyConnection:   func(state tls.ConnectionState) error { return verify(state, roots, role) },
	}
	for _, name := range strings.Split(offered, ":") {
		config.CurvePreferences = append(config.CurvePreferences, groups[name])
	}

	var connection *tls.Conn
	if role == "dial" {
		connection = tls.Client(must(net.Dial("tcp", "127.0.0.1:"+port)), config)
	} else {
		listener := must(net.Listen("tcp", "127.0.0.1:0"))
		fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
		connection = tls.Server(must(listener.Accept()), config)
	}
	must(0, connection.SetDeadline(time.Now().Add(30*time.Second)))
	refused(connection.Handshake())
	word := make([]byte, 6)
	if role == "dial" {
		_, err := connection.Write([]byte("hello\n"))
		refused(err)
	}
	_, err := io.ReadFull(connection, word)
	refused(err)
	if role == "answer" {
		_, err := connection.Write(word)
		refused(err)
	}
	state := connection.ConnectionState()
	fmt.Println("group", state.CurveID)
	// Go tells nobody; its own tests look here.
	scheme := reflect.ValueOf(state).FieldByName("testingOnlyPeerSignatureAlgorithm").Uint()
	fmt.Println("scheme", strings.ToLower(tls.SignatureScheme(scheme).String()))
	fmt.Println("name", state.PeerCertificates[0].URIs[0])
	fmt.Println("done")
	connection.Close()
}

func verify(state tls.ConnectionState, roots *x509.CertPool, role string) error {
	between := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates[1:] {
		between.AddCert(certificate)
	}
	usage := x509.ExtKeyUsageServerAuth
	if role == "answer" {
		usage = x509.ExtKeyUsageClientAuth
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}}
	_, err := state.PeerCertificates[0].Verify(options)
	return err
}
