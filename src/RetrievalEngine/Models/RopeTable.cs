using System;
using System.Collections.Generic;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>Cosines and sines of rotary positions, made for as many positions as were asked for so far.</summary>
internal sealed class RopeTable : IDisposable
{
    private readonly IBackend _backend;
    private readonly float[] _inverseFrequencies;
    private readonly List<DeviceMemory> _memory = [];
    private (Tensor Cos, Tensor Sin) _tables;

    /// <summary>Angles are position · inverseFrequencies[i] in float32, as the reference computes them.</summary>
    public RopeTable(IBackend backend, float[] inverseFrequencies)
    {
        _backend = backend;
        _inverseFrequencies = inverseFrequencies;
    }

    /// <summary>Cosines and sines [P, R/2] F32 of positions 0 to at least <paramref name="positions"/> - 1. Smaller tables handed out before stay valid.</summary>
    public (Tensor Cos, Tensor Sin) For(int positions)
    {
        lock (_memory)
        {
            if (_tables.Cos.IsEmpty || _tables.Cos.Shape[0] < positions) _tables = Make(Math.Max(512, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)positions)));
            return _tables;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (DeviceMemory memory in _memory) memory.Dispose();
    }

    private (Tensor Cos, Tensor Sin) Make(int count)
    {
        int half = _inverseFrequencies.Length;
        float[] cos = new float[(long)count * half], sin = new float[(long)count * half];
        for (int p = 0; p < count; p++)
        {
            for (int i = 0; i < half; i++)
            {
                (double s, double c) = Math.SinCos(p * _inverseFrequencies[i]);
                cos[(p * half) + i] = (float)c;
                sin[(p * half) + i] = (float)s;
            }
        }

        DeviceMemory memory = _backend.Allocate(2L * count * half * sizeof(float));
        _memory.Add(memory);
        Tensor cosines = new(memory, 0, new Shape(count, half), DType.F32), sines = new(memory, cosines.Bytes, new Shape(count, half), DType.F32);
        _backend.Upload<float>(cos, cosines);
        _backend.Upload<float>(sin, sines);
        return (cosines, sines);
    }
}
