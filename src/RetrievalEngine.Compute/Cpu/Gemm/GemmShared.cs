using System.Threading;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// What the threads share in a product: the next block to take, the packed side that all of them read, and for each thread room of its own.
/// </summary>
internal readonly unsafe struct GemmShared
{
    private readonly long* _next;
    private readonly float* _lanes;
    private readonly long _laneFloats;

    private GemmShared(float* start, long packedFloats, long laneFloats, int lanes)
    {
        _next = (long*)start;
        Packed = start + GemmTiles.Line;
        _lanes = Packed + packedFloats;
        _laneFloats = laneFloats;
        Chunks = (GemmChunk*)(_lanes + lanes * laneFloats);
    }

    /// <summary>The packed side that all threads read.</summary>
    public float* Packed { get; }

    /// <summary>The chunks of all products.</summary>
    public GemmChunk* Chunks { get; }

    /// <summary>Borrows the room for it. <paramref name="packedFloats"/> and <paramref name="laneFloats"/> are whole lines.</summary>
    public static Scratch.Loan Rent(Scratch scratch, long packedFloats, long laneFloats, int lanes, long chunks, out GemmShared shared)
    {
        long floats = GemmTiles.Line + packedFloats + lanes * laneFloats;
        Scratch.Loan loan = scratch.Rent(floats * sizeof(float) + chunks * sizeof(GemmChunk) + 64);
        shared = new GemmShared((float*)(((nint)loan.Pointer + 63) & ~63), packedFloats, laneFloats, lanes);
        return loan;
    }

    /// <summary>Room of one thread.</summary>
    public float* Lane(int lane) => _lanes + lane * _laneFloats;

    /// <summary>Begins with block 0.</summary>
    public void Restart() => *_next = 0;

    /// <summary>The next block for the calling thread.</summary>
    public long Take() => Interlocked.Increment(ref *_next) - 1;
}
