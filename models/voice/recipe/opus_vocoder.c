/* Speaks 16 kHz speech again through the neural vocoder inside the Opus reference codec.
 *
 *   opus_vocoder PITCH LEVEL < in.s16 > out.s16
 *
 * PITCH scales the fundamental frequency (1 leaves it). LEVEL -1: features straight to the vocoder (FARGAN);
 * LEVEL 0 (fine) to 15 (coarse): features through the rate-distortion autoencoder of Opus's deep redundancy (DRED)
 * first, quantised at that level, one second at a time and newest frame first, as a receiver gets them.
 * Output has the input's length; both are raw little-endian int16.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_support.h"
#include "dred_encoder.h"
#include "dred_rdovae_constants.h"
#include "dred_rdovae_dec.h"
#include "dred_rdovae_stats_data.h"
#include "fargan.h"
#include "lpcnet_private.h"

#define FRAME 160
#define LEAD 5    /* frames the vocoder hears before its first output frame */
#define GROUP 4   /* feature frames one latent stands for */
#define CHUNK 25  /* latents decoded from one state: one second */

static int arch;

/* Quantise and dequantise n numbers with the tables of one level, dead zone included. */
static void quantise(float *x, int n, const opus_uint8 *scale, const opus_uint8 *zone, const opus_uint8 *r,
                     const opus_uint8 *p0) {
    for (int i = 0; i < n; i++) {
        float delta = zone[i] / 256.f, v = x[i] * scale[i] / 256.f;
        float q = floorf(.5f + v - delta * tanhf(v / (delta + .1f)));
        if (r[i] == 0 || p0[i] == 255) q = 0;
        x[i] = q * 256.f / (scale[i] == 0 ? 1 : scale[i]);
    }
}

/* Replace features (frames, NB_FEATURES) by what the autoencoder keeps of them. frames is a multiple of GROUP. */
static void autoencode(float *features, int frames, int level) {
    RDOVAEEnc encoder;
    RDOVAEDec decoder;
    RDOVAEEncState state;
    int pairs = frames / 2;
    float *latents = calloc(pairs * DRED_LATENT_DIM, sizeof(float));
    float *states = calloc(pairs * DRED_STATE_DIM, sizeof(float));
    if (init_rdovaeenc(&encoder, rdovaeenc_arrays) || init_rdovaedec(&decoder, rdovaedec_arrays)) exit(3);
    memset(&state, 0, sizeof(state));
    for (int i = 0; i < pairs; i++) {
        float padded_latents[DRED_PADDED_LATENT_DIM], padded_state[DRED_PADDED_STATE_DIM];
        dred_rdovae_encode_dframe(&state, &encoder, padded_latents, padded_state, features + 2 * i * NB_FEATURES, arch);
        memcpy(latents + i * DRED_LATENT_DIM, padded_latents, DRED_LATENT_DIM * sizeof(float));
        memcpy(states + i * DRED_STATE_DIM, padded_state, DRED_STATE_DIM * sizeof(float));
    }
    for (int last = pairs - 1; last > 0; last -= 2 * CHUNK) {
        RDOVAEDecState back;
        float *first = states + last * DRED_STATE_DIM;
        int s = level * DRED_STATE_DIM, l = level * DRED_LATENT_DIM;
        quantise(first, DRED_STATE_DIM, dred_state_quant_scales_q8 + s, dred_state_dead_zone_q8 + s,
                 dred_state_r_q8 + s, dred_state_p0_q8 + s);
        memset(&back, 0, sizeof(back));
        dred_rdovae_dec_init_states(&back, &decoder, first, arch);
        for (int i = last; i > 0 && i > last - 2 * CHUNK; i -= 2) {
            float newest_first[GROUP * NB_FEATURES], *z = latents + i * DRED_LATENT_DIM;
            quantise(z, DRED_LATENT_DIM, dred_latent_quant_scales_q8 + l, dred_latent_dead_zone_q8 + l,
                     dred_latent_r_q8 + l, dred_latent_p0_q8 + l);
            dred_rdovae_decode_qframe(&back, &decoder, newest_first, z, arch);
            for (int k = 0; k < GROUP; k++)
                memcpy(features + (2 * i + 1 - k) * NB_FEATURES, newest_first + k * NB_FEATURES,
                       NB_FEATURES * sizeof(float));
        }
    }
    free(latents);
    free(states);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: opus_vocoder PITCH LEVEL < in.s16 > out.s16\n");
        return 2;
    }
    float shift = log2f((float)atof(argv[1]));
    int level = atoi(argv[2]), frames = 0, room = 1024;
    opus_int16 pcm[FRAME];
    float *features = calloc(room * NB_FEATURES, sizeof(float));
    LPCNetEncState *analysis = lpcnet_encoder_create();
    arch = opus_select_arch();
    for (int silent = LEAD;;) {
        float all[NB_TOTAL_FEATURES];
        memset(pcm, 0, sizeof(pcm));
        if (silent > 0)
            silent--;
        else if (fread(pcm, sizeof(pcm[0]), FRAME, stdin) == 0)
            break;
        if (frames + GROUP >= room) features = realloc(features, (room *= 2) * NB_FEATURES * sizeof(float));
        lpcnet_compute_single_frame_features(analysis, pcm, all, arch);
        memcpy(features + frames++ * NB_FEATURES, all, NB_FEATURES * sizeof(float));
    }
    int coded = frames;
    while (coded % GROUP) memcpy(features + coded++ * NB_FEATURES, features + (frames - 1) * NB_FEATURES,
                                 NB_FEATURES * sizeof(float));
    if (level >= 0) autoencode(features, coded, level);
    for (int i = 0; i < frames; i++) features[i * NB_FEATURES + NB_BANDS] += shift;

    FARGANState vocoder;
    float silence[FARGAN_CONT_SAMPLES] = {0}, out[FRAME];
    fargan_init(&vocoder);
    fargan_cont(&vocoder, silence, features);
    for (int i = LEAD; i < frames; i++) {
        fargan_synthesize(&vocoder, out, features + i * NB_FEATURES);
        for (int k = 0; k < FRAME; k++) pcm[k] = (opus_int16)floorf(.5f + fminf(32767, fmaxf(-32767, 32768 * out[k])));
        fwrite(pcm, sizeof(pcm[0]), FRAME, stdout);
    }
    lpcnet_encoder_destroy(analysis);
    free(features);
    return 0;
}
