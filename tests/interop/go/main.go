// Publishes the events of a plan (tests/interop/plan.py) with the official SDK for Go.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

type plan struct {
	Kafka, Topic, Gateway, Token, Source, Type string
	Events                                     []planned
}

type planned struct {
	ID          string
	Transport   string
	Mode        string
	Encoding    string
	ContentType string `json:"content_type"`
	Key         string
	Extensions  map[string]interface{}
	Data        map[string]interface{}
}

func eventOf(plan plan, one planned) (cloudevents.Event, error) {
	event := cloudevents.NewEvent()
	event.SetID(one.ID)
	event.SetSource(plan.Source)
	event.SetType(plan.Type)
	event.SetSubject(one.Key)
	event.SetTime(time.Now())
	for name, value := range one.Extensions {
		if number, ok := value.(float64); ok {
			value = int32(number)
		}
		event.SetExtension(name, value)
	}
	if one.Data == nil {
		return event, event.Validate()
	}
	var data interface{} = one.Data
	if one.Encoding == "bytes" {
		encoded, err := json.Marshal(one.Data)
		if err != nil {
			return event, err
		}
		data = encoded
	}
	if err := event.SetData(one.ContentType, data); err != nil {
		return event, err
	}
	return event, event.Validate()
}

func inMode(ctx context.Context, mode string) context.Context {
	if mode == "structured" {
		return binding.WithForceStructured(ctx)
	}
	return binding.WithForceBinary(ctx)
}

func publish(plan plan) error {
	config := sarama.NewConfig()
	config.Version = sarama.V2_0_0_0
	sender, err := kafka_sarama.NewSender([]string{plan.Kafka}, config, plan.Topic)
	if err != nil {
		return err
	}
	ctx := context.Background()
	defer sender.Close(ctx)
	overKafka, err := cloudevents.NewClient(sender)
	if err != nil {
		return err
	}
	overHTTP, err := cloudevents.NewClientHTTP(
		cehttp.WithTarget(plan.Gateway), cehttp.WithHeader("Authorization", "Bearer "+plan.Token),
	)
	if err != nil {
		return err
	}
	for _, one := range plan.Events {
		event, err := eventOf(plan, one)
		if err != nil {
			return fmt.Errorf("%s: %w", one.ID, err)
		}
		client, sending := overHTTP, inMode(ctx, one.Mode)
		if one.Transport == "kafka" {
			client = overKafka
			sending = kafka_sarama.WithMessageKey(sending, sarama.StringEncoder(one.Key))
		}
		if result := client.Send(sending, event); !cloudevents.IsACK(result) {
			return fmt.Errorf("%s: %w", one.ID, result)
		}
	}
	return nil
}

func main() {
	var plan plan
	err := json.NewDecoder(os.Stdin).Decode(&plan)
	if err == nil {
		err = publish(plan)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
