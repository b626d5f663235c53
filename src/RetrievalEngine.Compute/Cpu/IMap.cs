using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>A function of one number, on 16 at a time.</summary>
internal interface IMap
{
    /// <summary>f(x) in every lane.</summary>
    Vector512<float> Apply(Vector512<float> x);
}
