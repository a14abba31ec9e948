package natsbridge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func (r *durable) open(ctx context.Context, info *jetstream.StreamInfo) error {
	f := r.f
	r.follow()
	name := r.d.Name(f.pattern)
	found, err := f.js.Consumer(ctx, f.name, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		found, err = r.make(ctx, name)
	}
	if err != nil {
		return f.judge("a durable of stream", err)
	}
	c := found.CachedInfo()
	if wrong := r.misfits(&c.Config); len(wrong) > 0 {
		return bridge.Permanent(fmt.Errorf("natsbridge: stream %q: durable %q for %q is there, and does not fit: %s", f.name, name, f.pattern, strings.Join(wrong, "; ")))
	}
	f.session.limits(&f.streamConfig)
	f.session.allowed(&c.Config)
	f.session.consumer, f.session.delivered = name, c.Delivered.Consumer
	f.pending.Store(c.NumPending)
	f.known.Store(true)
	r.wait = c.Config.AckWait
	r.locate(c, info)
	return nil
}

// make makes the durable: for what comes from now on, or if there was one, for what was
// not acknowledged there.
func (r *durable) make(ctx context.Context, name string) (jetstream.Consumer, error) {
	f := r.f
	cfg := jetstream.ConsumerConfig{
		Durable: name, Description: "for the subscribers of one process, which acknowledge", FilterSubject: f.pattern,
		DeliverPolicy: jetstream.DeliverNewPolicy, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: f.ackWait, MaxAckPending: f.ackPending, MaxDeliver: -1,
	}
	if r.opened {
		r.mu.Lock()
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.startLocked()
		r.mu.Unlock()
	}
	made, err := f.js.CreateConsumer(ctx, f.name, cfg)
	if errors.Is(err, jetstream.ErrConsumerExists) { // somebody else was quicker
		return f.js.Consumer(ctx, f.name, name)
	}
	return made, err
}

// misfits is what of a durable's configuration would lose messages or stand still.
func (r *durable) misfits(c *jetstream.ConsumerConfig) (wrong []string) {
	filters := c.FilterSubjects
	if c.FilterSubject != "" {
		filters = append(filters, c.FilterSubject)
	}
	if len(filters) != 1 || filters[0] != r.f.pattern {
		wrong = append(wrong, fmt.Sprintf("its filter is %q", filters))
	}
	if c.AckPolicy != jetstream.AckExplicitPolicy {
		wrong = append(wrong, fmt.Sprintf("its acknowledgements are %v, and not explicit", c.AckPolicy))
	}
	if c.MaxDeliver > 0 {
		wrong = append(wrong, fmt.Sprintf("it gives up after %d deliveries", c.MaxDeliver))
	}
	if c.MaxAckPending > 0 && c.MaxAckPending < r.f.ackPending {
		wrong = append(wrong, fmt.Sprintf("its MaxAckPending is %d: want %d", c.MaxAckPending, r.f.ackPending))
	}
	if c.InactiveThreshold > 0 {
		wrong = append(wrong, fmt.Sprintf("the server forgets it when nobody was there for %v", c.InactiveThreshold))
	}
	if len(c.BackOff) > 0 {
		wrong = append(wrong, fmt.Sprintf("it has a BackOff, %v, and not one AckWait", c.BackOff))
	}
	if c.HeadersOnly {
		wrong = append(wrong, "it delivers headers only")
	}
	if len(c.PriorityGroups) > 0 {
		wrong = append(wrong, "it has priority groups")
	}
	if c.DeliverSubject != "" {
		wrong = append(wrong, "it is a push consumer")
	}
	return wrong
}

// allowed bounds what is asked for by what the consumer allows.
func (s *session) allowed(c *jetstream.ConsumerConfig) {
	if c.MaxRequestBatch > 0 {
		s.batch = min(s.batch, c.MaxRequestBatch)
	}
	if c.MaxRequestMaxBytes > 0 {
		s.bytes = min(s.bytes, c.MaxRequestMaxBytes)
	}
	if c.MaxRequestExpires > 0 {
		s.expires = min(s.expires, c.MaxRequestExpires)
		s.heartbeat = min(s.heartbeat, s.expires/2)
	}
}

// locate finds out where the consumer is, and what the stream has lost of it.
func (r *durable) locate(c *jetstream.ConsumerInfo, info *jetstream.StreamInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.f
	if last := info.State.LastSeq; r.opened && last < r.seen { // its end is lost
		for seq, h := range r.hand {
			if seq > last {
				h.reply = ""
				delete(r.hand, seq)
			}
		}
		r.seen, r.done = last, numbers{}
	}
	r.floor, r.upTo = c.AckFloor.Stream, c.Delivered.Stream
	r.other = c.NumAckPending
	for seq := range r.hand { // of those that it has given, these have come
		if seq <= r.upTo {
			r.other--
		}
	}
	if !r.opened {
		f.mark = r.upTo
	}
	r.lostLocked(info.State.FirstSeq)
	f.missing(info)
	f.mark = max(f.mark, min(r.upTo, info.State.LastSeq))
	r.seen = max(r.seen, f.mark)
	r.opened, r.from = true, 0
}

// lostLocked notes a gap if of what was given to somebody and has not come here some is
// not in the stream any more, whose oldest message is first.
func (r *durable) lostLocked(first uint64) {
	if r.other <= 0 || first <= r.floor+1 {
		return
	}
	f := r.f
	mark := f.mark
	f.mark = r.floor
	f.truncated(min(first, r.upTo+1), false)
	f.mark, r.floor = max(mark, f.mark), f.mark
	if r.floor >= r.upTo {
		r.other = 0
	}
}

// beat looks after what was given to somebody and has not come here: the server says
// nothing if the stream forgets it.
func (r *durable) beat(ctx context.Context) {
	r.mu.Lock()
	other := r.other
	r.mu.Unlock()
	if other <= 0 {
		return
	}
	short, cancel := context.WithTimeout(ctx, r.f.session.heartbeat)
	defer cancel()
	if info, err := r.f.info(short); err == nil { // else there is a next time
		r.mu.Lock()
		r.lostLocked(info.State.FirstSeq)
		r.mu.Unlock()
		r.f.report()
	}
}

var (
	replyAck   = []byte("+ACK")
	replyNak   = []byte("-NAK")
	replyAlive = []byte("+WPI")
)

// accept holds a message that is new, and answers for one that is not.
func (r *durable) accept(ctx context.Context, m *nats.Msg, meta *nats.MsgMetadata) (wanted, again bool, err error) {
	seq := meta.Sequence.Stream
	if err := r.f.pass(ctx, seq); err != nil {
		_ = r.f.nc.Publish(m.Reply, replyNak) // the connection that fails is the server's, who will ask again
		return false, false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq <= r.upTo && r.other > 0 && r.hand[seq] == nil {
		r.other--
	}
	if h := r.hand[seq]; h != nil {
		h.reply = m.Reply
		return false, false, nil
	}
	if r.done.has(seq) {
		_ = r.f.nc.Publish(m.Reply, replyAck) // if it is lost, the message comes once more
		return false, false, nil
	}
	again = meta.NumDelivered > 1 || seq <= r.seen
	r.hand[seq] = &hold{seq: seq, reply: m.Reply}
	r.seen = max(r.seen, seq)
	return true, again, nil
}

// elsewhere: another process may have it, and what nobody acknowledges comes again.
func (*durable) elsewhere() error { return nil }

func (r *durable) delivering(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.hand[seq]
	if h == nil { // the stream has lost it since
		h = &hold{seq: seq}
	}
	r.order = append(r.order, h)
}

func (r *durable) held() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.hand)
}

func (r *durable) pulse() time.Duration { return r.wait / 2 }

// stillAlive tells the server not to give to others what is held.
func (r *durable) stillAlive() { r.answer(replyAlive) }

// late has the server give m again at once.
func (r *durable) late(m *nats.Msg) { _ = r.f.nc.Publish(m.Reply, replyNak) }

func (r *durable) answer(what []byte) {
	for _, reply := range r.replies() {
		_ = r.f.nc.Publish(reply, what) // without a connection the server does as it must
	}
}

// replies are where what is held is answered for, oldest first.
func (r *durable) replies() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]string, 0, len(r.hand))
	for _, seq := range slices.Sorted(maps.Keys(r.hand)) {
		all = append(all, r.hand[seq].reply)
	}
	return all
}

// ack acknowledges the first n of the Run. What was published is certain when the
// server has answered on the same connection.
func (r *durable) ack(ctx context.Context, n uint64) error {
	r.mu.Lock()
	if n <= r.acked {
		r.mu.Unlock()
		return nil
	}
	count := n - r.acked
	if count > uint64(len(r.order)) {
		r.mu.Unlock()
		return fmt.Errorf("natsbridge: stream %q: %d of %q acknowledged, and %d delivered", r.f.name, n, r.f.pattern, r.acked+uint64(len(r.order)))
	}
	replies := make([]string, 0, count)
	for _, h := range r.order[:count] {
		if h.reply != "" {
			replies = append(replies, h.reply)
		}
	}
	r.mu.Unlock()
	if err := r.send(ctx, replies); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.order[:count] {
		if r.hand[h.seq] == h {
			delete(r.hand, h.seq)
		}
		if h.reply != "" {
			r.done.add(h.seq)
		}
	}
	clear(r.order[:count])
	r.order, r.acked = r.order[count:], n
	return nil
}

var errAckLost = errors.New("natsbridge: the connection was lost, and acknowledgements may be lost with it")

func (r *durable) send(ctx context.Context, replies []string) error {
	nc := r.f.nc
	before := nc.Stats().Reconnects
	for _, reply := range replies {
		if err := nc.Publish(reply, replyAck); err != nil {
			return fmt.Errorf("natsbridge: acknowledging: %w", err)
		}
	}
	short, cancel := context.WithTimeout(ctx, impatience)
	defer cancel()
	if err := nc.FlushWithContext(short); err != nil {
		return fmt.Errorf("natsbridge: acknowledging: %w", err)
	}
	if nc.Stats().Reconnects != before {
		return errAckLost
	}
	return nil
}

// settle has what is on the way come, so that it can be given back: else the next Run
// waits for it as for a process that has died.
func (r *durable) settle() { r.answers = r.flush() }

// close gives back what is not acknowledged.
func (r *durable) close() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.answer(replyNak)
	if r.answers {
		r.flush()
	}
}

// flush waits for the server, and tells whether it has answered. What is published and
// does not reach it is given again after a while.
func (r *durable) flush() bool {
	if !r.f.nc.IsConnected() {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), closingTime)
	defer cancel()
	return r.f.nc.FlushWithContext(ctx) == nil
}
