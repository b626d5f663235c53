namespace RetrievalEngine.Compute.Cpu;

/// <summary>A piece of attention that one thread does: queries and keys of one sequence, and of the backward pass which gradients.</summary>
internal readonly record struct AttentionUnit(int Sequence, int FirstQuery, int EndQuery, int FirstKey, int EndKey, bool WritesDq, bool WritesDkv)
{
    /// <summary>About how long it takes, in products of a query with a key.</summary>
    public long Cost => (long)(EndQuery - FirstQuery) * (EndKey - FirstKey);
}
