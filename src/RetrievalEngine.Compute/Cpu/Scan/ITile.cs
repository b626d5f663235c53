namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>Inner products of as many rows and queries as there are registers for their sums.</summary>
internal interface ITile
{
    /// <summary>Rows of a tile.</summary>
    static abstract int Rows { get; }

    /// <summary>Most queries of a tile.</summary>
    static abstract int Queries { get; }

    /// <summary>Writes the sums of a tile over one chunk of elements, or adds them to those of the chunks before.</summary>
    static abstract void Multiply(in Tile tile);
}
