namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>A stretch of the k of a <see cref="GemmProduct"/>: source · rightᵀ.</summary>
internal struct GemmSegment
{
    /// <summary>Number of the left operand.</summary>
    public int Source;

    /// <summary>The right operand, [N, K].</summary>
    public Operand Right;
}
