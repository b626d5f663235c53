namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>A stretch of k that stays in the level 1 cache.</summary>
internal struct GemmChunk
{
    /// <summary>Number of the left operand.</summary>
    public int Source;

    /// <summary>The right operand.</summary>
    public Operand Right;

    /// <summary>First step, of the two operands.</summary>
    public long FirstK;

    /// <summary>Number of steps.</summary>
    public long K;

    /// <summary>First step, of the product.</summary>
    public long Start;
}
