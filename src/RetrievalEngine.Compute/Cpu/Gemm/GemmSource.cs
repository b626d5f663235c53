namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>A left operand of a <see cref="GemmPlan"/>, [M, K].</summary>
internal unsafe struct GemmSource
{
    /// <summary>Where it lies.</summary>
    public Operand Operand;

    /// <summary>Its k steps.</summary>
    public long K;

    /// <summary>The step of the plan before which it is complete.</summary>
    public int Stage;

    /// <summary>Whether the current pass needs it.</summary>
    public bool Used;

    /// <summary>Floats of a packed panel.</summary>
    public long PanelFloats;

    /// <summary>Floats from the start of the packed sources to this one, for one panel of each.</summary>
    public long Offset;

    /// <summary>All its panels, where they are packed once for all threads.</summary>
    public float* Packed;
}
