using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>A function of two numbers, on 16 at a time.</summary>
internal interface IMap2
{
    /// <summary>f(a, b) in every lane.</summary>
    Vector512<float> Apply(Vector512<float> a, Vector512<float> b);
}
