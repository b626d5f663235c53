namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>
/// Some rows, some queries and one chunk of their elements. Sums [q · SumStride + r] are of four bytes each: those of earlier chunks are there, unless it is the
/// first. In each step <see cref="Share"/> bytes from <see cref="Next"/> on are fetched into the level 2 cache.
/// </summary>
internal unsafe struct Tile
{
    public byte* Row, Query, Sums, Next;
    public long RowStride, QueryStride, SumStride, Elements, Share;
    public int Rows, Queries;
    public bool IsFirst;
}
