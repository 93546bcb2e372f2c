package flow

import "math/bits"

// memory hands out all bytes that streams hold, within one budget: buffers
// that are contiguous, in five sizes, and blocks for what came out of order.
type memory struct {
	limit, used int
	spare       int // bytes in the free lists
	bufs        [bufSizes][][]byte
	blocks      []*block
	pieces      []*[maxPieces]piece
	holders     holders
}

const (
	minBufShift = 10
	bufSizes    = 5
	maxBuf      = 1 << (minBufShift + 2*(bufSizes-1)) // 256 KiB
	blockSize   = 2048
)

// block holds adjacent bytes of a direction that came too early.
type block struct {
	next *block
	off  int64 // of data[0]
	n    int
	data [blockSize - 32]byte
}

func (b *block) end() int64 { return b.off + int64(b.n) }

// sizeOf returns which size of buffer holds n bytes.
func sizeOf(n int) int {
	return max(0, (bits.Len(uint(max(n, 1)-1))-minBufShift+1)/2)
}

// buf returns an empty buffer with room for n bytes, nil over the budget.
func (m *memory) buf(n int) []byte {
	k := sizeOf(n)
	size := 1 << (minBufShift + 2*k)
	if n > maxBuf || m.used+size > m.limit {
		return nil
	}
	m.used += size
	if f := m.bufs[k]; len(f) > 0 {
		b := f[len(f)-1]
		m.bufs[k] = f[:len(f)-1]
		m.spare -= size
		return b
	}
	return make([]byte, 0, size)
}

// free takes a buffer back.
func (m *memory) free(b []byte) {
	if cap(b) == 0 {
		return
	}
	m.used -= cap(b)
	if m.spare+cap(b) > m.limit/4 {
		return
	}
	m.spare += cap(b)
	k := sizeOf(cap(b))
	m.bufs[k] = append(m.bufs[k], b[:0])
}

// block returns an empty block, nil over the budget.
func (m *memory) block() *block {
	if m.used+blockSize > m.limit {
		return nil
	}
	m.used += blockSize
	if n := len(m.blocks); n > 0 {
		b := m.blocks[n-1]
		m.blocks = m.blocks[:n-1]
		m.spare -= blockSize
		b.next, b.off, b.n = nil, 0, 0
		return b
	}
	return new(block)
}

// freeBlock takes a block back.
func (m *memory) freeBlock(b *block) {
	m.used -= blockSize
	if m.spare+blockSize > m.limit/4 {
		return
	}
	m.spare += blockSize
	m.blocks = append(m.blocks, b)
}

// piecesFor returns a list for a conversation that is being probed.
func (m *memory) piecesFor() *[maxPieces]piece {
	n := len(m.pieces)
	if n == 0 {
		return new([maxPieces]piece)
	}
	p := m.pieces[n-1]
	m.pieces = m.pieces[:n-1]
	return p
}

// freePieces takes one back; nil is none.
func (m *memory) freePieces(p *[maxPieces]piece) {
	if p != nil && len(m.pieces) < 256 {
		m.pieces = append(m.pieces, p)
	}
}
