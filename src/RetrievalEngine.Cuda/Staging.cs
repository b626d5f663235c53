using System;
using RetrievalEngine.Cuda.Driver;

namespace RetrievalEngine.Cuda;

/// <summary>
/// Pinned memory between the host's and the device's. Uploads copy into a ring and go on: the host waits only where it comes around to a segment whose
/// copies the device has not made yet. Downloads alternate between two segments, so that one is read while the other is filled.
/// </summary>
internal sealed unsafe class Staging : IDisposable
{
    private const int Segments = 4, SegmentBytes = 4 << 20, Alignment = 64;
    private readonly CudaStream _stream;
    private readonly PinnedMemory _ring;
    private readonly CudaEvent[] _passed = new CudaEvent[Segments];
    private int _segment, _used;

    /// <summary>A ring in the current context.</summary>
    public Staging(CudaStream stream)
    {
        _stream = stream;
        _ring = new PinnedMemory((long)Segments * SegmentBytes);
        for (int i = 0; i < Segments; i++) _passed[i] = new CudaEvent();
    }

    /// <summary>Copies <paramref name="source"/> to the device; it may be changed as soon as this returns.</summary>
    public void Upload(ReadOnlySpan<byte> source, ulong destination)
    {
        while (!source.IsEmpty)
        {
            if (_used == SegmentBytes) NextSegment();
            int count = Math.Min(source.Length, SegmentBytes - _used);
            byte* pinned = Segment(_segment) + _used;
            source[..count].CopyTo(new Span<byte>(pinned, count));
            CudaDriver.Check(CudaDriver.MemcpyHtoDAsync(destination, pinned, (nuint)count, _stream.Handle), "cuMemcpyHtoDAsync");
            _used = Math.Min(SegmentBytes, (_used + count + Alignment - 1) / Alignment * Alignment);
            destination += (ulong)count;
            source = source[count..];
        }
    }

    /// <summary>Copies from the device after all work queued so far.</summary>
    public void Download(ulong source, Span<byte> destination)
    {
        // Segments are free of uploads only once these are done, and a download waits for all work in any case.
        NextSegment();
        int first = _segment, asked = 0, read = 0;
        for (int part = 0; read < destination.Length; part++)
        {
            if (asked < destination.Length)
            {
                if (part > 0) NextSegment();
                int count = Math.Min(SegmentBytes, destination.Length - asked);
                CudaDriver.Check(
                    CudaDriver.MemcpyDtoHAsync(Segment(_segment), source + (ulong)asked, (nuint)count, _stream.Handle), "cuMemcpyDtoHAsync");
                _passed[_segment].Record(_stream);
                asked += count;
            }

            // One part is on its way while the one before it is read.
            if (part == 0 && asked < destination.Length) continue;
            int length = Math.Min(SegmentBytes, destination.Length - read), segment = (first + read / SegmentBytes) % Segments;
            _passed[segment].Synchronize();
            new Span<byte>(Segment(segment), length).CopyTo(destination[read..]);
            read += length;
        }

        _used = SegmentBytes;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (CudaEvent e in _passed) e.Dispose();
        _ring.Dispose();
    }

    private byte* Segment(int segment) => _ring.Pointer + (long)segment * SegmentBytes;

    private void NextSegment()
    {
        _passed[_segment].Record(_stream);
        _segment = (_segment + 1) % Segments;
        _passed[_segment].Synchronize();
        _used = 0;
    }
}
