// Go's crypto/x509 on our certificates: paths, purposes, lists, requests. Standard library only.
package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

var folder string

func must(ok bool, what string, detail ...any) {
	if !ok {
		fmt.Println("WRONG:", what, detail)
		os.Exit(1)
	}
	fmt.Println("go:", what)
}

func read(name string) []byte {
	contents, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		fmt.Println("WRONG:", err)
		os.Exit(1)
	}
	return contents
}

func certificates(name string) (found []*x509.Certificate) {
	for rest := read(name); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return found
		}
		if block.Type == "CERTIFICATE" {
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				must(false, name+" is read", err)
			}
			found = append(found, certificate)
		}
	}
}

func list(name string) *x509.RevocationList {
	block, _ := pem.Decode(read(name))
	found, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		must(false, name+" is read", err)
	}
	return found
}

func verify(chain string, usage x509.ExtKeyUsage, roots ...string) error {
	all := certificates(chain)
	options := x509.VerifyOptions{
		DNSName:       "localhost",
		Roots:         x509.NewCertPool(),
		Intermediates: x509.NewCertPool(),
		KeyUsages:     []x509.ExtKeyUsage{usage},
	}
	for _, root := range roots {
		options.Roots.AddCert(certificates(root)[0])
	}
	for _, intermediate := range all[1:] {
		options.Intermediates.AddCert(intermediate)
	}
	_, err := all[0].Verify(options)
	return err
}

func listed(certificate *x509.Certificate, list *x509.RevocationList) bool {
	for _, entry := range list.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(certificate.SerialNumber) == 0 {
			return true
		}
	}
	return false
}

func chains() {
	server, client := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	for _, roots := range [][]string{{"root.pem"}, {"old-root.pem"}, {"old-root.pem", "root.pem"}} {
		for _, usage := range []x509.ExtKeyUsage{server, client} {
			err := verify("good.pem", usage, roots...)
			must(err == nil, fmt.Sprint("good chain under ", roots), err)
		}
	}
	must(verify("good-after.pem", server, "root.pem") == nil, "good chain after the change")
	must(verify("web.pem", server, "web-root.pem") == nil, "good web chain")
	must(verify("good.pem", x509.ExtKeyUsageCodeSigning, "root.pem") != nil, "no other purpose")
	must(verify("good.pem", server, "stranger-root.pem") != nil, "a stranger's root refused")
	must(verify("stranger.pem", server, "root.pem", "old-root.pem") != nil, "a stranger's chain refused")
	err, late := verify("expired.pem", server, "root.pem").(x509.CertificateInvalidError)
	must(late && err.Reason == x509.Expired, "expired chain refused for its time")

	good := certificates("good.pem")[0]
	must(good.PublicKeyAlgorithm.String() == "ML-DSA-87" || good.SignatureAlgorithm.String() == "ML-DSA-87",
		"ML-DSA-87", good.PublicKeyAlgorithm, good.SignatureAlgorithm)
	root := certificates("root.pem")[0]
	must(good.URIs[0].Host == root.URIs[0].Host, "the identity is of the root's trust domain")
	foreign := certificates("wrong-domain.pem")[0]
	must(foreign.URIs[0].Host != root.URIs[0].Host, "another trust domain is seen")
}

func lists() {
	for name, issuer := range map[string]string{
		"root.crl.pem": "root.pem", "intermediate.crl.pem": "intermediate.pem", "web-root.crl.pem": "web-root.pem",
	} {
		found, signer := list(name), certificates(issuer)[0]
		err := found.CheckSignatureFrom(signer)
		must(err == nil, name+" is signed by its issuer", err)
		must(found.CheckSignatureFrom(certificates("stranger-root.pem")[0]) != nil, name+" by no stranger")
		must(found.Number != nil && found.Number.Sign() > 0, name+" has a number")
		must(found.ThisUpdate.Before(time.Now()) && found.NextUpdate.After(time.Now()), name+" counts now")
		must(bytes.Equal(found.AuthorityKeyId, signer.SubjectKeyId), name+" names its issuer's key")
	}
	intermediate, web := list("intermediate.crl.pem"), list("web-root.crl.pem")
	must(listed(certificates("revoked.pem")[0], intermediate), "the revoked leaf is listed")
	must(!listed(certificates("good.pem")[0], intermediate), "the good one is not")
	must(intermediate.RevokedCertificateEntries[0].ReasonCode == 1, "for key compromise")
	must(listed(certificates("web-revoked.pem")[0], web), "the revoked web leaf is listed")
}

func requests() {
	request, err := x509.ParseCertificateRequest(read("request.der"))
	must(err == nil && request.CheckSignature() == nil, "the request is signed by its own key", err)
	forged, err := x509.ParseCertificateRequest(read("request-forged.der"))
	must(err != nil || forged.CheckSignature() != nil, "the forged request is refused")
}

func main() {
	folder = os.Args[1]
	chains()
	lists()
	requests()
}
