using System;
using RetrievalEngine.Checkpoints;

namespace RetrievalEngine.Models;

/// <summary>Inverse frequencies of rotary positions, with the scalings that checkpoints ask for.</summary>
internal static class RopeFrequencies
{
    /// <summary>θ^(-2i/R) for i below R/2 in float32 (Su et al. 2021), then scaled.</summary>
    public static float[] Compute(int rotaryDim, double theta, RopeScaling? scaling)
    {
        float[] frequencies = new float[rotaryDim / 2];
        for (int i = 0; i < frequencies.Length; i++)
        {
            float frequency = 1 / (float)Math.Pow(theta, (float)(2 * i) / rotaryDim);
            frequencies[i] = scaling is null ? frequency : scaling.Type == RopeScalingType.Linear ? (float)(frequency / scaling.Factor) : Llama3(frequency, scaling);
        }

        return frequencies;
    }

    /// <summary>
    /// Llama 3's scaling: long wavelengths are stretched by the factor, short ones kept, those between blended (transformers,
    /// <c>_compute_llama3_parameters</c>).
    /// </summary>
    private static float Llama3(float frequency, RopeScaling scaling)
    {
        double wavelength = 2 * Math.PI / frequency;
        if (wavelength < scaling.OriginalMaxPositionEmbeddings / scaling.HighFreqFactor) return frequency;
        if (wavelength > scaling.OriginalMaxPositionEmbeddings / scaling.LowFreqFactor) return (float)(frequency / scaling.Factor);
        double smooth = ((scaling.OriginalMaxPositionEmbeddings / wavelength) - scaling.LowFreqFactor) / (scaling.HighFreqFactor - scaling.LowFreqFactor);
        return (float)(((1 - smooth) * frequency / scaling.Factor) + (smooth * frequency));
    }
}
