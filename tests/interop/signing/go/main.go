// Says what it thinks of every key and record of contracts/signing-vectors.json, and signs a record
// that it reads from standard input. It follows docs/signing.md, with the standard library only.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"regexp"
	"sort"
	"strings"
)

type record struct {
	Name      string
	PublicKey string `json:"public_key"`
	Topic     string
	Key       *string
	Headers   [][2]*string
	Value     *string
}

type vectors struct {
	Keys    struct{ Accepted, Refused []record }
	Records struct{ Accepted, Refused []record }
}

type answer struct {
	Keys        map[string]string `json:"keys"`
	Records     map[string]string `json:"records"`
	SignedBytes map[string]string `json:"signed_bytes"`
	Signature   string            `json:"signature"`
}

var (
	errUnsigned   = errors.New("unsigned")
	errMalformed  = errors.New("malformed")
	errForged     = errors.New("forged")
	errInvalidKey = errors.New("invalid_key")

	signatureForm = regexp.MustCompile(`^v1\.([0-9a-f]{32})\.([A-Za-z0-9_-]{85}[AQgw])$`)
	keyForm       = regexp.MustCompile(`^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$`)
	nameForm      = regexp.MustCompile(`^ce_([a-z0-9]+)$`)
	unsigned      = []string{"busbarsig", "sequence", "traceparent", "tracestate"}
)

func number(text string) *big.Int {
	found, ok := new(big.Int).SetString(text, 10)
	if !ok {
		panic(text)
	}
	return found
}

var (
	one    = big.NewInt(1)
	prime  = new(big.Int).Sub(new(big.Int).Lsh(one, 255), big.NewInt(19))
	d      = number("37095705934669439343138083508754565189542113879843219016388785533085940283555")
	order8 = number("2707385501144840649318225287225658788936804267575313519463743609750303402022")
)

// publicKey returns the key that the text is of.
func publicKey(text string) (ed25519.PublicKey, error) {
	if !keyForm.MatchString(text) {
		return nil, errInvalidKey
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, errInvalidKey
	}
	reversed := make([]byte, 32)
	for i, digit := range raw {
		reversed[31-i] = digit
	}
	reversed[0] &= 0x7f
	y := new(big.Int).SetBytes(reversed)
	square := new(big.Int).Mul(y, y)
	product := new(big.Int).Mul(d, square)
	product.Add(product, one).Mul(product, square.Sub(square, one)).Mod(product, prime)
	half := new(big.Int).Rsh(prime, 1)
	isPoint := product.Exp(product, half, prime).Cmp(one) == 0
	isSmall := y.Sign() == 0 || y.Cmp(order8) == 0 || new(big.Int).Add(y, order8).Cmp(prime) == 0
	if y.Cmp(prime) >= 0 || !isPoint || isSmall {
		return nil, errInvalidKey
	}
	return raw, nil
}

func keyID(key ed25519.PublicKey) string {
	digest := sha256.Sum256(key)
	return hex.EncodeToString(digest[:])[:32]
}

func raw(text *string) []byte {
	if text == nil {
		return nil
	}
	found, err := hex.DecodeString(*text)
	if err != nil {
		panic(err)
	}
	return found
}

// attributes returns the attributes by name, those that are not signed included.
func attributes(headers [][2]*string) (map[string][]byte, error) {
	found := map[string][]byte{}
	for _, header := range headers {
		name := *header[0]
		isType := len(name) == 12 && strings.EqualFold(name, "content-type")
		if !isType && !(len(name) >= 3 && strings.EqualFold(name[:3], "ce_")) {
			continue
		}
		match := nameForm.FindStringSubmatch(name)
		if name == "content-type" {
			name = "datacontenttype"
		} else if match == nil || match[1] == "datacontenttype" {
			return nil, errMalformed
		} else {
			name = match[1]
		}
		if _, twice := found[name]; twice || header[1] == nil {
			return nil, errMalformed
		}
		found[name] = raw(header[1])
	}
	contentType := bytes.ToLower(bytes.Trim(found["datacontenttype"], " \t"))
	_, binaryMode := found["specversion"]
	if !binaryMode || bytes.HasPrefix(contentType, []byte("application/cloudevents")) {
		return nil, errMalformed
	}
	return found, nil
}

func signedBytes(one record, id string) ([]byte, error) {
	found, err := attributes(one.Headers)
	if err != nil {
		return nil, err
	}
	for _, name := range unsigned {
		delete(found, name)
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)

	message := []byte("busbar-sig/1\n")
	add := func(value []byte) {
		message = append(message, 1)
		message = binary.BigEndian.AppendUint32(message, uint32(len(value)))
		message = append(message, value...)
	}
	add([]byte(id))
	add([]byte(one.Topic))
	if one.Key == nil {
		message = append(message, 0)
	} else {
		add(raw(one.Key))
	}
	message = binary.BigEndian.AppendUint32(message, uint32(len(names)))
	for _, name := range names {
		add([]byte(name))
		add(found[name])
	}
	if one.Value == nil {
		return append(message, 0), nil
	}
	digest := sha256.Sum256(raw(one.Value))
	add(digest[:])
	return message, nil
}

// signature returns the id of the key and the 64 bytes of the signature that a record carries.
func signature(one record) (string, []byte, error) {
	found := []*string{}
	for _, header := range one.Headers {
		if *header[0] == "ce_busbarsig" {
			found = append(found, header[1])
		}
	}
	if len(found) == 0 {
		return "", nil, errUnsigned
	}
	match := signatureForm.FindSubmatch(raw(found[0]))
	if len(found) > 1 || match == nil {
		return "", nil, errMalformed
	}
	value, err := base64.RawURLEncoding.DecodeString(string(match[2]))
	if err != nil {
		return "", nil, errMalformed
	}
	return string(match[1]), value, nil
}

func verify(one record) error {
	key, err := publicKey(one.PublicKey)
	if err != nil {
		return err
	}
	id, value, err := signature(one)
	if err != nil {
		return err
	}
	message, err := signedBytes(one, id)
	if err != nil {
		return err
	}
	if id != keyID(key) || !ed25519.Verify(key, message, value) {
		return errForged
	}
	return nil
}

func sign(one record, key ed25519.PrivateKey) (string, error) {
	id := keyID(key.Public().(ed25519.PublicKey))
	message, err := signedBytes(one, id)
	if err != nil {
		return "", err
	}
	return "v1." + id + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, message)), nil
}

func answerTo(given vectors) (answer, error) {
	found := answer{map[string]string{}, map[string]string{}, map[string]string{}, ""}
	for _, one := range append(given.Keys.Accepted, given.Keys.Refused...) {
		found.Keys[one.Name] = errInvalidKey.Error()
		if key, err := publicKey(one.PublicKey); err == nil {
			found.Keys[one.Name] = keyID(key)
		}
	}
	for _, one := range append(given.Records.Accepted, given.Records.Refused...) {
		found.Records[one.Name] = "accepted"
		if err := verify(one); err != nil {
			found.Records[one.Name] = err.Error()
			continue
		}
		id, _, _ := signature(one)
		message, err := signedBytes(one, id)
		if err != nil {
			return found, err
		}
		found.SignedBytes[one.Name] = hex.EncodeToString(message)
	}
	return found, nil
}

func run(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var given vectors
	if err := json.Unmarshal(text, &given); err != nil {
		return err
	}
	var toSign struct {
		Seed   string
		Record record
	}
	if err := json.NewDecoder(os.Stdin).Decode(&toSign); err != nil {
		return err
	}
	found, err := answerTo(given)
	if err != nil {
		return err
	}
	key := ed25519.NewKeyFromSeed(raw(&toSign.Seed))
	if found.Signature, err = sign(toSign.Record, key); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
